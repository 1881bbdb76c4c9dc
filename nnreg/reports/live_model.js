const live = document.getElementById("live");
const inputs = [...live.querySelectorAll("[data-column]")];

function valueOf(input) {
  if (input.selectedOptions?.[0].hasAttribute("data-missing")) return null;
  if (input.type === "number") return input.value === "" ? null : Number(input.value);
  return input.value === "" && input.type !== "text" ? null : input.value;
}

function formatted(value, percent) {
  if (percent) return `${(100 * value).toFixed(1)} %`;
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-4 && size < 1e7);
  return plain ? String(Number(value.toPrecision(5))) : value.toExponential(3);
}

function show(found) {
  for (const list of live.querySelectorAll("[data-output]")) {
    const values = found && Array.from(found[list.dataset.output]);
    const percent = list.dataset.kind !== "numbers";
    const largest = list.dataset.kind === "classes" && values ? Math.max(...values) : NaN;
    [...list.children].forEach((line, place) => {
      const output = line.querySelector("output");
      output.value = values ? formatted(values[place], percent) : "–";
      output.title = values ? String(values[place]) : "";
      line.classList.toggle("chosen", values !== null && values[place] === largest);
      const bar = line.querySelector(".bar > div");
      if (bar) bar.style.width = values ? `${100 * values[place]}%` : "0";
    });
  }
}

function update() {
  const row = Object.create(null);
  for (const input of inputs) row[input.dataset.column] = valueOf(input);
  const problem = live.querySelector("[role=status]");
  try {
    show(predict(row));
    problem.textContent = "";
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    show(null);
    problem.textContent = error.message;
  }
}

for (const slider of live.querySelectorAll("[type=range]")) {
  const input = document.getElementById(slider.dataset.of);
  slider.addEventListener("input", () => {
    input.value = slider.value;
    update();
  });
  input.addEventListener("input", () => (slider.value = input.value));
}
for (const input of inputs) input.addEventListener("input", update);
live.hidden = false;
update();
