"use strict";
(() => {
  const page = document.body.dataset.page;
  const place = `jax-mdpo judgements ${page}`;
  const items = [...document.querySelectorAll("article")];
  const judge = document.getElementById("judge");
  const button = (id) => document.getElementById(id);
  const CHOICES = { a: "A", b: "B", t: "tie" };
  const STEPS = { ArrowRight: 1, ArrowLeft: -1 };
  let judgements = {};
  let shown = 0;

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(place) ?? "{}");
      judge.value = kept.judge ?? "";
      judgements = kept.judgements ?? {};
    } catch {
      button("forgets").hidden = false;
    }
  }

  function keep() {
    try {
      localStorage.setItem(place, JSON.stringify(content()));
    } catch {
      button("forgets").hidden = false;
    }
  }

  // What is downloaded: in the page's order, whatever the order of judging.
  function content() {
    const made = items.map((item) => item.dataset.item).filter((item) => item in judgements);
    const name = judge.value.trim();
    return { page, ...(name && { judge: name }), judgements: Object.fromEntries(made.map((item) => [item, judgements[item]])) };
  }

  const isOpen = (item) => !(item.dataset.item in judgements);

  // The first item without a judgement behind this one, then from the start; none where all have one.
  function nextOpen() {
    const order = items.map((_, i) => (shown + 1 + i) % items.length);
    return order.find((i) => isOpen(items[i]));
  }

  function show(which) {
    shown = Math.min(Math.max(which, 0), items.length - 1);
    items.forEach((item, i) => item.classList.toggle("shown", i === shown));
    scrollTo(0, 0);
    paint();
  }

  function paint() {
    const count = items.filter((item) => !isOpen(item)).length;
    for (const item of items) {
      for (const choice of item.querySelectorAll("[data-choice]")) {
        choice.setAttribute("aria-pressed", judgements[item.dataset.item] === choice.dataset.choice);
      }
    }
    button("progress").textContent = count < items.length ? `${count} of ${items.length} judged` : `all ${count} judged: download them now`;
    button("bar").style.width = `${(100 * count) / items.length}%`;
    button("download").disabled = count === 0;
    button("back").disabled = shown === 0;
    button("on").disabled = shown === items.length - 1;
    button("open").disabled = count === items.length;
  }

  function judged(choice) {
    const item = items[shown];
    const first = isOpen(item);
    judgements[item.dataset.item] = choice;
    keep();
    const next = nextOpen();
    if (first && next !== undefined) show(next);
    else paint();
  }

  function download() {
    const link = document.createElement("a");
    const name = judge.value.trim().replace(/[^\p{L}\p{N}]+/gu, "_") || "anonymous";
    link.href = URL.createObjectURL(new Blob([JSON.stringify(content(), null, 2) + "\n"], { type: "application/json" }));
    link.download = `judgements_${page.slice(0, 8)}_${name}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function pressed(event) {
    if (event.target === judge || event.ctrlKey || event.metaKey || event.altKey) return;
    const choice = CHOICES[event.key.toLowerCase()];
    if (choice) judged(choice);
    else if (event.key in STEPS) show(shown + STEPS[event.key]);
    else return;
    event.preventDefault();
  }

  document.querySelectorAll("[data-choice]").forEach((one) => one.addEventListener("click", () => judged(one.dataset.choice)));
  document.addEventListener("keydown", pressed);
  judge.addEventListener("input", keep);
  button("download").addEventListener("click", download);
  button("back").addEventListener("click", () => show(shown - 1));
  button("on").addEventListener("click", () => show(shown + 1));
  button("open").addEventListener("click", () => show(nextOpen() ?? shown));
  recall();
  show(Math.max(items.findIndex(isOpen), 0));
})();
