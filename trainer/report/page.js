// Narrows the lists of problems; without it they are shown whole.
"use strict";
for (const form of document.querySelectorAll("form.choose")) {
  const problems = [...document.getElementById(form.dataset.for).querySelectorAll(":scope > .problem")];
  const { words, arm, outcome } = form.elements;
  const fits = {
    "": () => true,
    some: (own) => own.passed > 0 && own.passed < own.count,
    every: (own) => own.passed === own.count,
    none: (own) => own.passed === 0,
  };
  const narrow = () => {
    const wanted = words.value.toLowerCase();
    let shown = 0;
    for (const problem of problems) {
      let answers = 0;
      for (const section of problem.querySelectorAll(".arm")) {
        const { arm: own, passed, count } = section.dataset;
        const fitting = (!arm.value || arm.value === own) && fits[outcome.value]({ passed: +passed, count: +count });
        section.hidden = !fitting;
        answers += fitting;
      }
      problem.hidden = !answers || !problem.textContent.toLowerCase().includes(wanted);
      shown += !problem.hidden;
    }
    form.querySelector("output").value = `${shown} of ${problems.length} problems`;
  };
  form.addEventListener("input", narrow);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  narrow();
}
