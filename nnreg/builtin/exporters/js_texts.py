"""Functions of a module of JavaScript that read texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnreg._utils.json_text import dumps
from nnreg.builtin.encoders.date_texts import expression_of
from nnreg.operations.operation import Operation

SETTINGS = {
    "count_terms": ("terms", "lowercase", "stop_words", "low", "high"),
    "count_labels": ("labels", "separator"),
    "hash": ("seed", "size"),
    "date_parts": ("patterns",),
    "tokens": ("items", "parts", "lowercase", "longest", "steps"),
    "byte_pairs": ("merges", "lowercase", "longest", "steps"),
}
NAMES = {
    "count_terms": "countTerms", "count_labels": "countLabels", "hash": "hashed",
    "date_parts": "dateParts", "tokens": "tokenized", "byte_pairs": "bytePairs",
}  # fmt: skip


def reader(one: Operation) -> str:
    """Return the expression of a function from a text to the numbers of an operation."""
    settings = dict(one.attributes)
    if one.name == "date_parts":
        settings["patterns"] = [*map(expression_of, settings["patterns"])]
    values: list[Any] = [settings[name] for name in SETTINGS[one.name]]
    return f"{NAMES[one.name]}({', '.join(map(dumps, values))})"


FUNCTIONS: Mapping[str, str] = {
    "countTerms": r"""
function countTerms(terms, lowercase, stopWords, low, high) {
  const places = new Map(terms.map((term, n) => [term, n]));
  return (text) => {
    const found = terms.map(() => 0);
    const given = lowercase ? (text ?? "").toLowerCase() : text ?? "";
    const all = given.match(/[\p{L}\p{N}_]{2,}/gu) ?? [];
    const words = all.filter((word) => !stopWords.includes(word));
    for (let size = low; size <= high; size++)
      for (let at = 0; at + size <= words.length; at++) {
        const place = places.get(words.slice(at, at + size).join(" "));
        if (place !== undefined) found[place]++;
      }
    return found;
  };
}
""",
    "countLabels": r"""
function countLabels(labels, separator) {
  const places = new Map(labels.map((label, n) => [label, n]));
  return (text) => {
    const found = Array(labels.length + 1).fill(0);
    let parts = (text ?? "").split(separator);
    if (text?.startsWith("[")) {
      try {
        parts = JSON.parse(text).map(written).filter((part) => part !== "None");
      } catch {
        found[labels.length] = NaN;
        return found;
      }
    }
    for (const part of parts) {
      const label = part.trim();
      if (label) found[places.get(label) ?? labels.length]++;
    }
    return found;
  };
}

function written(value) { // as Python writes it
  if (value === null) return "None";
  if (typeof value === "object") throw new SyntaxError("a list in a list");
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "number" ? numberText(value) : value;
}
""",
    "hashed": r"""
function hashed(seed, size) {
  return (text) => {
    if (text === null) return [0, 0];
    const value = murmurhash(new TextEncoder().encode(canonical(text)), seed);
    return [Math.abs(value) % size, value < 0 ? -1 : 1];
  };
}

function canonical(text) { // a number is always written in the same way
  const digits = text.replace(/\p{Nd}/gu, asciiDigit), given = digits.trim();
  if (/^[+-]?0\p{Nd}/u.test(text)) return text;
  if (/^[+-]?\d{1,300}$/.test(given)) return BigInt(given.replace("+", "")).toString();
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given);
  return number && Number.isFinite(Number(given)) ? numberText(Number(given)) : text;
}

function asciiDigit(digit) { // those of a script follow each other
  const before = (n) => String.fromCodePoint(digit.codePointAt(0) - n);
  let count = 0;
  while (/\p{Nd}/u.test(before(count + 1))) count++;
  return String(count % 10);
}
""",
    "numberText": r"""
function numberText(value) { // as Python writes it
  if (Number.isInteger(value)) return BigInt(value).toString();
  const text = Math.abs(value) < 1e-4 ? value.toExponential() : String(value);
  return text.replace(/e-(\d)$/, "e-0$1");
}
""",
    "murmurhash": r"""
function murmurhash(data, seed) { // MurmurHash3 of Austin Appleby
  let state = seed | 0;
  for (let at = 0; at < data.length; at += 4) {
    let word = 0;
    for (let k = 0; k < 4; k++) word |= (data[at + k] ?? 0) << (8 * k);
    word = Math.imul(word, 0xcc9e2d51);
    state ^= Math.imul((word << 15) | (word >>> 17), 0x1b873593);
    if (at + 4 > data.length) continue;
    state = (Math.imul((state << 13) | (state >>> 19), 5) + 0xe6546b64) | 0;
  }
  state ^= data.length;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return state ^ (state >>> 16);
}
""",
    "dateParts": r"""
function dateParts(patterns) {
  const all = patterns.map(([pattern, letters]) => [new RegExp(`^(?:${pattern})$`), letters]);
  return (text) => dateOf(text ?? "", all);
}

function dateOf(text, patterns) {
  for (const [pattern, letters] of patterns) {
    const match = pattern.exec(text);
    if (!match) continue;
    const given = {};
    [...letters].forEach((letter, n) => (given[letter] = match[n + 1] ?? given[letter]));
    const year = Number(given.Y ?? 1970), month = Number(given.m ?? 1), day = Number(given.d ?? 1);
    const [hour, minute, second] = ["H", "M", "S"].map((letter) => Number(given[letter] ?? 0));
    const zone = /^([-+])(\d\d):?(\d\d)?$/.exec(given.z ?? "");
    const east = zone ? Number(`${zone[1]}1`) * (Number(zone[2]) * 60 + Number(zone[3] ?? 0)) : 0;
    const start = new Date(0);
    start.setUTCFullYear(year, month - 1, day);
    if (start.getUTCMonth() !== month - 1 || start.getUTCDate() !== day) continue;
    if (hour > 23 || minute > 59 || second > 59) continue;
    const moment = new Date(start.getTime() + ((hour * 60 + minute - east) * 60 + second) * 1000);
    const yearDays = (year) => new Date(0).setUTCFullYear(year, 0, 1) / 864e5;
    const days = Math.floor(moment / 864e5), clock = moment / 1000 - days * 86400;
    const fraction = Number((given.f ?? "0").slice(0, 6).padEnd(6, "0")) / 1e6;
    const thursday = days + 3 - ((((days + 3) % 7) + 7) % 7);
    const ofWeek = new Date(thursday * 864e5).getUTCFullYear();
    const week = Math.floor((thursday - yearDays(ofWeek)) / 7) + 1;
    const own = moment.getUTCFullYear(), first = yearDays(own), length = yearDays(own + 1) - first;
    return [days + (clock + fraction) / 86400, clock, own, moment.getUTCMonth(),
      moment.getUTCDate(), days - first, length, week, 1];
  }
  return [0, 0, 1970, 0, 1, 0, 365, 1, 0];
}
""",
    "bytePairs": r"""
function bytePairs(merges, lowercase, longest, steps) {
  const tokenOf = new Map(merges.map(([a, b], n) => [`${a},${b}`, 256 + n]));
  const word = "[\\p{L}\\p{N}_]", space = "[\\p{White_Space}\\x1c-\\x1f]";
  const mark = "[^\\p{L}\\p{N}_\\p{White_Space}\\x1c-\\x1f]";
  const piece = new RegExp(`${space}?${word}{1,40}|${space}?${mark}{1,40}|${space}{1,40}`, "gu");
  const merged = (tokens) => { // the pair that was learned first, again and again
    for (;;) {
      const each = tokens.slice(1).map((b, n) => tokenOf.get(`${tokens[n]},${b}`) ?? Infinity);
      const first = Math.min(...each), next = [];
      if (first === Infinity) return tokens;
      const [a, b] = merges[first - 256];
      for (let at = 0; at < tokens.length; at++) {
        const pair = tokens[at] === a && at + 1 < tokens.length && tokens[at + 1] === b;
        next.push(pair ? first : tokens[at]);
        at += pair;
      }
      tokens = next;
    }
  };
  return (text) => {
    const given = lowercase ? (text ?? "").toLowerCase() : text ?? "";
    const tokens = (given.match(piece) ?? []).flatMap((one) => merged([...utf8(one)]));
    const found = Array(steps + 1).fill(0), kept = tokens.slice(0, longest);
    found[0] = kept.length;
    kept.slice(0, steps).forEach((token, n) => (found[n + 1] = token));
    return found;
  };
}

function utf8(text) {
  return new TextEncoder().encode(text);
}
""",
    "tokenized": r"""
function tokenized(items, parts, lowercase, longest, steps) {
  const numbers = new Map(items.map((item, n) => [item, n + 1]));
  const words = /[\p{L}\p{N}_]+|[^\p{L}\p{N}_\p{White_Space}\x1c-\x1f]/gu;
  const pattern = parts === "words" ? words : /[^]/gu;
  return (text) => {
    const given = lowercase ? (text ?? "").toLowerCase() : text ?? "";
    const tokens = (given.match(pattern) ?? []).slice(0, longest);
    const found = Array(steps + 1).fill(0);
    found[0] = tokens.length;
    tokens.slice(0, steps).forEach((token, n) => (found[n + 1] = numbers.get(token) ?? 0));
    return found;
  };
}
""",
}
"""The functions of texts, by their names."""
