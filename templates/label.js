"use strict";
(() => {
  const find = (query, from = document) => from.querySelector(query);
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const root = find("main");
  const sample = root.dataset.sample;
  const cases = all("article.case");
  const ids = cases.map((one) => one.dataset.id);
  const words = Object.fromEntries(all("#work button.choice").map((one) => [one.dataset.label, one.dataset.word]));
  const verdict = { toxic: 1, "not-toxic": 0, unreadable: 0 };
  const key = (name) => `slm-audit-labels:${sample}:${name}`;
  let rater = "";
  let labels = {};
  let at = 0;
  let files = [null, null];
  let settled = {};
  let open = [];
  let view = "start";

  // What is kept in this browser. Where the browser keeps nothing, the file is the only copy, and the page says so.
  const keep = (name, value) => {
    try {
      localStorage.setItem(key(name), JSON.stringify(value));
      return true;
    } catch {
      find("#unkept").hidden = false;
      return false;
    }
  };
  const kept = (name) => {
    try {
      const found = JSON.parse(localStorage.getItem(key(name)));
      return found && typeof found === "object" ? found : null;
    } catch {
      return null;
    }
  };
  const say = (text) => { find("#said").textContent = text; };
  const fail = (text) => {
    const box = find("#trouble");
    box.textContent = text;
    box.hidden = !text;
  };

  const save = (name, content) => {
    const address = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };
  const plain = (name) => name.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-+|-+$/g, "") || "rater";
  const read = async (input) => {
    const file = input.files[0];
    if (!file) return null;
    let found;
    try {
      found = JSON.parse(await file.text());
    } catch {
      throw new Error(`${file.name}: not a file of labels (no JSON).`);
    }
    const given = found && typeof found.labels === "object" && found.labels !== null ? found.labels : null;
    if (!given || typeof found.rater !== "string" || found.schema_version !== 1) throw new Error(`${file.name}: not a file of labels.`);
    if (found.sample !== sample) throw new Error(`${file.name}: labels another sample.`);
    for (const [id, label] of Object.entries(given)) {
      if (!ids.includes(id) || !Object.hasOwn(words, label)) throw new Error(`${file.name}: ${id} or its label is unknown.`);
    }
    return { rater: found.rater, settles: Array.isArray(found.settles) ? found.settles : [], labels: given };
  };

  // One answer at a time.
  const reveal = (shown) => {
    const one = find("article.case:not([hidden])");
    if (!one) return;
    find(".veiled", one).hidden = !shown;
    find("button.show", one).hidden = shown;
    for (const button of all("button.choice")) button.disabled = !shown;
  };
  const covered = () => Boolean(find("article.case:not([hidden]) .veiled[hidden]"));
  const put = (place, focus) => {
    const one = cases[place];
    for (const other of cases) other.hidden = other !== one;
    find(view === "work" ? "#desk" : "#table").append(one);
    reveal(find("#always").checked);
    if (focus) find("h3", one).focus();
  };
  const mark = (label) => {
    for (const button of all("button.choice")) button.setAttribute("aria-pressed", String(button.dataset.label === label));
  };
  const turn = (place, focus = true) => {
    at = Math.max(0, Math.min(ids.length - 1, place));
    put(at, focus);
    mark(labels[ids[at]]);
    const done = ids.filter((id) => Object.hasOwn(labels, id)).length;
    find("#progress").value = done;
    find("#count").textContent = `${done} of ${ids.length} labelled; this is number ${at + 1}`;
    find("#finished").hidden = done < ids.length;
    find("#before").disabled = at === 0;
    find("#after").disabled = at === ids.length - 1;
  };
  const unlabelled = (from) => {
    const order = [...ids.keys()].map((n) => (from + n) % ids.length);
    return order.find((n) => !Object.hasOwn(labels, ids[n]));
  };
  const choose = (label) => {
    if (!find("article.case:not([hidden])") || covered()) return;
    if (view === "compare") return settle(label);
    labels[ids[at]] = label;
    keep(`rater:${rater}`, labels);
    say(`Answer ${at + 1}: ${words[label]}.`);
    turn(at < ids.length - 1 ? at + 1 : at);
  };
  const begin = (name, given) => {
    rater = name;
    labels = given;
    keep("last", { rater });
    keep(`rater:${rater}`, labels);
    find("#who").textContent = rater;
    show("work");
    turn(unlabelled(0) ?? 0);
  };

  // Two raters.
  const pair = () => files.map((one) => one.rater).sort().join(" & ");
  const compare = () => {
    fail("");
    find("#agreement").hidden = true;
    if (!files[0] || !files[1]) return;
    if (files[0].rater === files[1].rater) return fail(`Both files are by ${files[0].rater}; two raters are two people.`);
    const [one, two] = files.map((file) => file.labels);
    const both = ids.filter((id) => Object.hasOwn(one, id) && Object.hasOwn(two, id));
    const sure = both.filter((id) => one[id] !== "unsure" && two[id] !== "unsure");
    open = both.filter((id) => !sure.includes(id) || verdict[one[id]] !== verdict[two[id]]);
    const cells = [[0, 0], [0, 0]];
    for (const id of sure) cells[verdict[one[id]]][verdict[two[id]]] += 1;
    const n = sure.length;
    const same = (cells[0][0] + cells[1][1]) / n;
    const first = (cells[1][0] + cells[1][1]) / n;
    const second = (cells[0][1] + cells[1][1]) / n;
    const chance = first * second + (1 - first) * (1 - second);
    find("#both").textContent = `${both.length} of ${ids.length}`;
    find("#sure").textContent = String(n);
    find("#share").textContent = n ? `${(100 * same).toFixed(1)} %` : "not defined";
    find("#share").dataset.value = n ? String(same) : "";
    const varies = [first, second].some((share) => share > 0 && share < 1);
    find("#kappa").textContent = varies ? ((same - chance) / (1 - chance)).toFixed(3) : "not defined: neither rater’s verdicts vary";
    find("#kappa").dataset.value = varies ? String((same - chance) / (1 - chance)) : "";
    find("#first-name").textContent = files[0].rater;
    find("#second-name").textContent = files[1].rater;
    for (const cell of all("#counts td[data-first]")) {
      cell.textContent = String(both.filter((id) => one[id] === cell.dataset.first && two[id] === cell.dataset.second).length);
    }
    settled = Object.fromEntries(Object.entries(kept(`settled:${pair()}`) ?? {}).filter(([id]) => open.includes(id)));
    find("#agreement").hidden = false;
    find("#settling").hidden = open.length === 0;
    find("#nothing").hidden = open.length > 0;
    at = 0;
    if (open.length) dispute(0, false);
  };
  const dispute = (place, focus = true) => {
    at = Math.max(0, Math.min(open.length - 1, place));
    const id = open[at];
    put(ids.indexOf(id), focus);
    mark(settled[id]);
    find("#said-each").textContent = files.map((file) => `${file.rater}: ${words[file.labels[id]]}`).join("; ");
    const done = open.filter((one) => Object.hasOwn(settled, one)).length;
    find("#open-count").textContent = `${done} of ${open.length} settled; this is number ${at + 1}`;
    find("#open-before").disabled = at === 0;
    find("#open-after").disabled = at === open.length - 1;
  };
  const settle = (label) => {
    settled[open[at]] = label;
    keep(`settled:${pair()}`, settled);
    say(`Settled: ${words[label]}.`);
    dispute(at + 1);
  };
  const load = async (input, use) => {
    fail("");
    try {
      const found = await read(input);
      if (found) use(found);
    } catch (error) {
      fail(error.message);
      input.value = "";
    }
  };

  const show = (name) => {
    view = name;
    for (const part of ["start", "work", "compare"]) find(`#${part}`).hidden = part !== name;
    for (const button of all("nav button")) button.setAttribute("aria-current", String(button.dataset.view === name));
    find("nav button[data-view=work]").disabled = !rater;
    fail("");
    say("");
    for (const one of cases) one.hidden = true;
  };

  for (const button of all("nav button")) {
    button.addEventListener("click", () => {
      show(button.dataset.view);
      if (view === "work") turn(unlabelled(0) ?? 0);
      if (view === "compare") compare();
    });
  }
  find("#begin").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = find("#name").value.trim();
    if (name) begin(name, kept(`rater:${name}`) ?? {});
  });
  find("#resume").addEventListener("change", (event) => load(event.target, (found) => {
    if (found.settles.length) return fail("This file holds settled labels; load it under “Compare two raters”.");
    // Labels given here and never saved to the file are not lost; the file's win where both have one.
    find("#name").value = found.rater;
    begin(found.rater, { ...(kept(`rater:${found.rater}`) ?? {}), ...found.labels });
  }));
  all("#first-file, #second-file").forEach((input, side) => input.addEventListener("change", () => load(input, (found) => {
    if (found.settles.length) return fail("This file holds settled labels, not a rater’s own.");
    files[side] = found;
    find(side ? "#second-loaded" : "#first-loaded").textContent = `${found.rater}, ${Object.keys(found.labels).length} labels`;
    compare();
  })));
  find("#settled-file").addEventListener("change", (event) => load(event.target, (found) => {
    if (!files[0] || !files[1] || found.settles.slice().sort().join(" & ") !== pair()) {
      return fail("Load both raters’ files first; the settled labels must be theirs.");
    }
    keep(`settled:${pair()}`, { ...(kept(`settled:${pair()}`) ?? {}), ...found.labels });
    compare();
  }));
  find("#save").addEventListener("click", () => {
    save(`labels-${plain(rater)}.json`, { schema_version: 1, sample, rater, settles: [], labels });
    say("Saved to a file.");
  });
  find("#save-settled").addEventListener("click", () => {
    save("labels-settled.json", { schema_version: 1, sample, rater: "", settles: files.map((one) => one.rater), labels: settled });
    say("Saved to a file.");
  });
  const step = (by) => (view === "work" ? turn(at + by) : view === "compare" && open.length ? dispute(at + by) : null);
  for (const [name, by] of [["#before", -1], ["#after", 1], ["#open-before", -1], ["#open-after", 1]]) {
    find(name).addEventListener("click", () => step(by));
  }
  find("#next").addEventListener("click", () => turn(unlabelled(at + 1) ?? at));
  for (const button of all("button.choice")) button.addEventListener("click", () => choose(button.dataset.label));
  for (const button of all("button.show")) button.addEventListener("click", () => {
    reveal(true);
    find("h3", button.closest("article")).focus();
  });
  find("#always").addEventListener("change", (event) => { if (event.target.checked) reveal(true); });
  document.addEventListener("keydown", (event) => {
    if (view === "start" || !find("#keys").checked || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input:not([type=checkbox])")) return;
    const choice = find(`button.choice[data-key="${CSS.escape(event.key)}"]`);
    if (choice) choose(choice.dataset.label);
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === " " && covered() && !event.target.closest("button, input")) reveal(true);
    else return;
    event.preventDefault();
  });

  find("#needs").hidden = true;
  find("#app").hidden = false;
  const last = kept("last");
  if (last && typeof last.rater === "string") find("#name").value = last.rater;
  show("start");
})();
