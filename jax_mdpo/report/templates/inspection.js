"use strict";
(() => {
  const page = JSON.parse(document.getElementById("numbers").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 100; // of a strip, in its own units
  const tip = document.getElementById("values");
  const answers = page.answers.map((answer, place) => {
    const section = document.querySelector(`.answer[data-answer="${place}"]`);
    return { ...answer, section, tokens: [...section.querySelectorAll(".token")], strip: section.querySelector(".strip"), bars: [] };
  });
  const picked = () => page.quantities.find(({ key }) => key === document.querySelector("input[name=quantity]:checked").value);
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const written = (value) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(4);

  // The formulas of UE-DPO's weights, as in objectives/uncertainty.py and objectives/statistics.py.
  const TIED = 1e-6;

  function quantile(values, share) {
    if (!values.length) return Infinity;
    const sorted = [...values].sort((a, b) => a - b);
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const part = place - below;
    return part > 0 ? sorted[below] + part * (sorted[below + 1] - sorted[below]) : sorted[below];
  }

  function deviation(values) {
    const mean = sum(values) / Math.max(values.length, 1);
    return Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / Math.max(values.length, 1));
  }

  function weigh(answer, alpha, tau) {
    const { sensitivity, uncertainty } = answer.values;
    const bound = quantile(sensitivity, answer.preferred ? tau : 1 - tau);
    const selected = sensitivity.map((value) => (answer.preferred ? value < bound : value >= bound));
    const among = uncertainty.filter((_, i) => selected[i]);
    const quartile = quantile(among, 0.25);
    const spread = deviation(among);
    const standing = (u) => (spread < TIED ? 0.5 : 1 / (1 + Math.exp(-(u - quartile) / spread)));
    const sign = answer.preferred ? 1 : -1;
    answer.bound = bound;
    answer.selected = selected;
    answer.values.weight = uncertainty.map((u, i) => (selected[i] ? 1 + sign * alpha * standing(u) : 1));
  }

  // Σ [λ log π − log π_ref], times β; and −log σ of the margin
  const weighted = ({ values }) => page.beta * sum(values.logp.map((logp, i) => values.weight[i] * logp - (logp - values.log_ratio[i])));
  const loss = (margin) => Math.max(-margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));

  function reweigh(alpha, tau) {
    for (const [name, value] of [["alpha", alpha], ["tau", tau]]) {
      document.getElementById(name).value = value;
      document.getElementById(`${name}-value`).textContent = Number(value.toFixed(3));
    }
    answers.forEach((answer, place) => {
      weigh(answer, alpha, tau);
      answer.tokens.forEach((token, i) => token.classList.toggle("selected", answer.selected[i]));
      document.querySelectorAll(`table[data-answer="${place}"] [data-quantity=weight]`).forEach((cell, i) => {
        cell.textContent = written(answer.values.weight[i]);
      });
    });
    const row = document.querySelector("[data-term=ue_dpo]");
    if (row) {
      const margin = weighted(answers[0]) - weighted(answers[1]);
      row.querySelector(".margin").textContent = (margin < 0 ? "" : "+") + written(margin);
      row.querySelector(".loss").textContent = written(loss(margin));
    }
    paint();
  }

  function colour(element, value, quantity) {
    const much = Math.max(-1, Math.min(1, (value - quantity.middle) / quantity.extent));
    element.style.setProperty("--much", Math.abs(much).toFixed(4));
    element.style.setProperty("--end", much < 0 ? "var(--low)" : "var(--high)");
  }

  function paint() {
    const quantity = picked();
    const { key } = quantity;
    const unit = quantity.unit && ` ${quantity.unit}`;
    const end = (sign) => String(Number((quantity.middle + sign * quantity.extent).toPrecision(3))).replace("-", "−");
    const oneSided = quantity.above === null;
    document.getElementById("means").textContent = quantity.means;
    document.getElementById("low").textContent = `≤ ${end(-1)}${unit}: ${quantity.below}`;
    document.getElementById("middle").textContent = oneSided ? "" : quantity.middle;
    document.getElementById("high").textContent = oneSided ? quantity.middle : `≥ ${end(1)}${unit}: ${quantity.above}`;
    document.querySelector(".ramp").classList.toggle("one-sided", oneSided);
    for (const answer of answers) {
      const values = answer.values[key];
      values.forEach((value, i) => [answer.tokens[i], answer.bars[i]].forEach((element) => colour(element, value, quantity)));
      drawStrip(answer, values, quantity.middle, key === "sensitivity" ? answer.bound : Infinity);
      answer.section.querySelector(".sum").textContent = `Σ ${written(sum(values))}, mean ${written(sum(values) / values.length)}${unit}`;
    }
  }

  function makeStrip(answer) {
    answer.strip.style.setProperty("--count", answer.tokens.length);
    answer.strip.setAttribute("viewBox", `0 0 ${answer.tokens.length} ${HEIGHT}`);
    answer.bars = answer.tokens.map((_, i) => {
      const bar = answer.strip.appendChild(document.createElementNS(SVG, "rect"));
      bar.setAttribute("x", i + 0.12);
      bar.setAttribute("width", 0.76);
      bar.addEventListener("mouseenter", () => show(answer, i, answer.tokens[i]));
      bar.addEventListener("mouseleave", hide);
      return bar;
    });
    for (const kind of ["zero", "bound"]) answer.strip.appendChild(document.createElementNS(SVG, "line")).classList.add(kind);
  }

  function drawStrip(answer, values, middle, bound) {
    const all = [...values, middle, ...(Number.isFinite(bound) ? [bound] : [])];
    const top = Math.max(...all), bottom = Math.min(...all);
    const room = (top - bottom || 1) * 1.1;
    const y = (value) => 5 + ((HEIGHT - 10) * (top - value)) / (top - bottom || room);
    values.forEach((value, i) => {
      answer.bars[i].setAttribute("y", Math.min(y(value), y(middle)));
      answer.bars[i].setAttribute("height", Math.max(Math.abs(y(value) - y(middle)), 0.01));
    });
    for (const [kind, at] of [["zero", middle], ["bound", bound]]) {
      const line = answer.strip.querySelector(`.${kind}`);
      line.style.display = Number.isFinite(at) ? "" : "none";
      const place = Number.isFinite(at) ? y(at) : 0;
      for (const [name, value] of [["x1", 0], ["x2", answer.tokens.length], ["y1", place], ["y2", place]]) line.setAttribute(name, value);
    }
  }

  // What a token's values are: on hover, on keyboard focus and on touch.
  let shown = null;

  function element(name, text, className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  function show(answer, i, token) {
    hide();
    shown = [token, answer.bars[i]];
    shown.forEach((one) => one.classList.add("here"));
    const head = element("p", `token ${i + 1} of ${answer.tokens.length}: `);
    head.append(element("code", token.textContent));
    const table = document.createElement("table");
    for (const quantity of page.quantities) {
      const row = table.appendChild(element("tr", "", quantity === picked() ? "shown" : ""));
      row.dataset.quantity = quantity.key;
      row.append(element("th", quantity.name), element("td", written(answer.values[quantity.key][i]), "number"), element("td", quantity.unit));
    }
    tip.replaceChildren(head, table);
    if (answer.guesses.length) {
      const guess = element("p", "guess under noise: ");
      guess.append(element("code", answer.guesses[i]));
      tip.append(guess);
    }
    if (answer.selected) tip.append(element("p", answer.selected[i] ? "selected for weighting" : "not selected for weighting"));
    tip.hidden = false;
    token.setAttribute("aria-describedby", "values");
    place(token.getClientRects()[0]);
  }

  function place(box) {
    const margin = 8;
    const left = Math.min(Math.max(margin, box.left), innerWidth - tip.offsetWidth - margin);
    const below = box.bottom + margin;
    const fits = below + tip.offsetHeight < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${fits ? below : Math.max(margin, box.top - tip.offsetHeight - margin)}px`;
  }

  function hide() {
    if (shown) {
      shown.forEach((one) => one.classList.remove("here"));
      shown[0].removeAttribute("aria-describedby");
    }
    shown = null;
    tip.hidden = true;
  }

  const STEPS = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -Infinity, End: Infinity };

  function walk(answer, i, event) {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    const next = Math.min(Math.max(i + STEPS[event.key], 0), answer.tokens.length - 1);
    answer.tokens[i].tabIndex = -1;
    answer.tokens[next].tabIndex = 0;
    answer.tokens[next].focus();
  }

  for (const answer of answers) {
    makeStrip(answer);
    answer.tokens.forEach((token, i) => {
      token.addEventListener("mouseenter", () => show(answer, i, token));
      token.addEventListener("mouseleave", hide);
      token.addEventListener("focus", () => show(answer, i, token));
      token.addEventListener("blur", hide);
      token.addEventListener("keydown", (event) => walk(answer, i, event));
    });
  }
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("scroll", () => shown && place(shown[0].getClientRects()[0]), { passive: true });
  document.querySelectorAll("input[name=quantity]").forEach((input) => input.addEventListener("change", paint));
  if (document.getElementById("alpha")) {
    const sliders = ["alpha", "tau"].map((name) => document.getElementById(name));
    const slide = () => reweigh(...sliders.map((slider) => slider.valueAsNumber));
    sliders.forEach((slider) => slider.addEventListener("input", slide));
    document.getElementById("reset").addEventListener("click", () => reweigh(page.alpha, page.tau));
    reweigh(page.alpha, page.tau);
  } else {
    paint();
  }
})();
