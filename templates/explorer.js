// Hides and shows examples by what the reader picked. It reads numbers and fixed words from data attributes, sets the
// hidden attribute and one line of text, and touches nothing else: without it the page is the same, only unfiltered.
"use strict";
(() => {
  const bar = document.getElementById("filters");
  const said = document.getElementById("shown");
  const picks = [...bar.querySelectorAll("select")];
  const rows = [...document.querySelectorAll("#examples .example")];
  const parts = [...document.querySelectorAll("#examples .examples > section")];
  const picked = (key) => {
    const box = picks.find((one) => one.dataset.key === key);
    return box ? box.value : "";
  };
  const fits = (row) => ["suite", "group", "why"].every((key) => picked(key) === "" || row.dataset[key] === picked(key))
    && (picked("verdict") === "" || row.dataset.verdicts.split(" ")[Number(picked("scorer"))] === picked("verdict"));
  const apply = () => {
    for (const row of rows) row.hidden = !fits(row);
    for (const part of parts) part.hidden = !part.querySelector(".example:not([hidden])");
    const left = rows.filter((row) => !row.hidden).length;
    said.textContent = left + " of " + rows.length + " examples shown";
  };
  bar.addEventListener("change", apply);
  document.getElementById("clear").addEventListener("click", () => {
    for (const one of picks) one.selectedIndex = 0;
    apply();
  });
  bar.hidden = false;
  apply();
})();
