"""Functions of a module of JavaScript that compute with numbers."""

from __future__ import annotations

FUNCTIONS = {
    "filled": """
function filled(x, name, given, missing, padding) { // from an array of any depth, or none
  const count = given == null ? 0 : put(x, 0, given, missing);
  if (given != null && padding === undefined && count !== x.length)
    throw new RangeError(`column '${name}': expected ${x.length} values, found ${count}`);
  x.fill(given == null ? missing : padding, count);
}
""",
    "put": """
function put(x, at, given, missing) {
  for (let i = 0; i < given.length; i++) {
    const one = given[i];
    if (typeof one === "object" && one !== null) at = put(x, at, one, missing);
    else if (at++ < x.length) x[at - 1] = one ?? missing;
  }
  return at;
}
""",
    "product": """
function product(y, atY, a, atA, b, atB, rows, depth, columns) { // eight columns at a time
  for (let i = 0; i < rows; i++, atY += columns, atA += depth) {
    let j = 0;
    for (; j + 7 < columns; j += 8) {
      let y0 = 0, y1 = 0, y2 = 0, y3 = 0, y4 = 0, y5 = 0, y6 = 0, y7 = 0;
      for (let k = 0, at = atB + j; k < depth; k++, at += columns) {
        const value = a[atA + k];
        y0 += value * b[at];
        y1 += value * b[at + 1];
        y2 += value * b[at + 2];
        y3 += value * b[at + 3];
        y4 += value * b[at + 4];
        y5 += value * b[at + 5];
        y6 += value * b[at + 6];
        y7 += value * b[at + 7];
      }
      const at = atY + j;
      y[at] = y0;
      y[at + 1] = y1;
      y[at + 2] = y2;
      y[at + 3] = y3;
      y[at + 4] = y4;
      y[at + 5] = y5;
      y[at + 6] = y6;
      y[at + 7] = y7;
    }
    for (; j < columns; j++) {
      let sum = 0;
      for (let k = 0, at = atB + j; k < depth; k++, at += columns) sum += a[atA + k] * b[at];
      y[atY + j] = sum;
    }
  }
}
""",
    "decoded": """
function decoded(type, text) {
  return new type(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
}
""",
    "round": """
function round(x) { // half to even
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 !== 0 ? near - 1 : near;
}
""",
    "erf": """
function erf(x) { // a series near 0, and a continued fraction
  const square = x * x;
  if (square < 9) {
    let term = x, sum = x;
    for (let n = 1; n < 60; n++) {
      term *= -square / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (Math.abs(x) + fraction);
  const rest = Math.exp(-square) / Math.sqrt(Math.PI) / (Math.abs(x) + fraction);
  return Math.sign(x) * (1 - rest);
}
""",
}
"""The functions that a module has if it calls them."""
