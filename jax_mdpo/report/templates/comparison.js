"use strict";
(() => {
  const page = JSON.parse(document.getElementById("numbers").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const tip = document.getElementById("values");
  const written = (value) => String(Number(value.toPrecision(4))).replace("-", "−");

  function element(name, text = "", className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  function shape(name, attributes, inside) {
    const made = inside.appendChild(document.createElementNS(SVG, name));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  // Each curve has its own steps: what is shown are the points nearest to a place across.
  const nearest = (curve, x) => curve.at.reduce((best, [at], i) => (Math.abs(at - x) < Math.abs(curve.at[best][0] - x) ? i : best), 0);

  const absent = new Set(); // subjects whose lines a reader has taken away
  for (const button of document.querySelectorAll(".legend button")) {
    const subject = Number(button.dataset.subject);
    button.addEventListener("click", () => {
      if (!absent.delete(subject)) absent.add(subject);
      button.setAttribute("aria-pressed", !absent.has(subject));
      for (const line of document.querySelectorAll(`.chart g[data-subject="${subject}"]`)) line.toggleAttribute("hidden", absent.has(subject));
    });
  }

  for (const svg of document.querySelectorAll(".chart")) {
    const chart = page.charts[Number(svg.dataset.chart)];
    const drawn = () => chart.curves.filter((curve) => !absent.has(curve.subject));
    const places = () => [...new Set(drawn().flatMap((curve) => curve.at.map(([x]) => x)))].sort((a, b) => a - b);
    const cursor = shape("g", { class: "cursor" }, svg);
    let here = null;

    function show(x) {
      if (!drawn().length) return;
      here = places().reduce((best, place) => (Math.abs(place - x) < Math.abs(best - x) ? place : best));
      const top = svg.viewBox.baseVal.height;
      cursor.replaceChildren();
      shape("line", { x1: here, x2: here, y1: 10, y2: top - 22 }, cursor);
      const table = element("table");
      let step = 0;
      for (const curve of drawn()) {
        const i = nearest(curve, here);
        if (curve.at[i][0] === here) step = curve.steps[i];
        const [cx, cy] = curve.at[i];
        const classes = svg.querySelector(`g[data-subject="${curve.subject}"]`).getAttribute("class");
        shape("circle", { cx, cy, r: 4 }, shape("g", { class: classes }, cursor));
        const row = table.appendChild(element("tr"));
        row.append(element("th", page.subjects[curve.subject]), element("td", written(curve.mean[i]), "number"));
        if (curve.repetitions > 1) row.append(element("td", `${written(curve.low[i])} to ${written(curve.high[i])}`, "number quiet"));
      }
      tip.replaceChildren(element("div", `step ${Math.round(step)}`, "quiet"), table);
      tip.hidden = false;
      const box = svg.getBoundingClientRect();
      const left = box.left + (here / svg.viewBox.baseVal.width) * box.width + 12;
      const fits = left + tip.offsetWidth < innerWidth - 8;
      tip.style.left = `${Math.max(8, fits ? left : left - 24 - tip.offsetWidth)}px`;
      tip.style.top = `${Math.max(8, Math.min(box.top + 12, innerHeight - tip.offsetHeight - 8))}px`;
    }

    function hide() {
      if (here === null) return;
      here = null;
      cursor.replaceChildren();
      tip.hidden = true;
    }

    function walk(event) {
      const steps = places();
      const moves = { ArrowRight: 1, ArrowLeft: -1, Home: -steps.length, End: steps.length };
      if (event.key === "Escape") hide();
      if (!(event.key in moves)) return;
      event.preventDefault();
      show(steps[Math.min(Math.max(steps.indexOf(here) + moves[event.key], 0), steps.length - 1)]);
    }

    const across = (event) => {
      const box = svg.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    };
    svg.addEventListener("pointermove", (event) => show(across(event)));
    svg.addEventListener("pointerdown", (event) => show(across(event)));
    svg.addEventListener("pointerleave", (event) => event.pointerType === "touch" || hide()); // a finger that is lifted leaves the values
    document.addEventListener("pointerdown", (event) => svg.contains(event.target) || hide(), { capture: true });
    svg.addEventListener("keydown", walk);
    svg.addEventListener("focus", () => svg.matches(":focus-visible") && show(svg.viewBox.baseVal.width));
    svg.addEventListener("blur", hide);
  }
})();
