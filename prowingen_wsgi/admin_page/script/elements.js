/* Elements are made once and then told what changed: ten times a second that is very little. */

function byId(id) {
  return document.getElementById(id);
}

/** Of an element that has nothing else. A browser lays out again what is given a text, even if it is
    the same; and a new node costs it more than new data of an old one. */
function setText(element, text) {
  const node = element.firstChild;
  if (!node) element.textContent = text;
  else if (node.data !== text) node.data = text;
}

function say(id, text) {
  setText(byId(id), text);
}

function setIs(element, is) {
  if (element.dataset.is !== is) element.dataset.is = is;
}

function make(name, { className = "", text = "", children = [] } = {}) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function button(text, label, press) {
  const element = make("button", { text });
  element.type = "button";
  element.setAttribute("aria-label", label);
  element.addEventListener("click", press);
  return element;
}

/** The rows of a table: each stays the same element for as long as there is one of its key, so that
    it keeps the focus and what is selected in it. */
class Rows {
  /** make: of a key, an object that has an `element`, and whatever `update` wants to find again. */
  constructor(body, make) {
    this.body = body;
    this.make = make;
    this.rows = new Map();
  }

  /** Shows these, in this order: `keyOf` tells one from another, `fill(row, item)` updates one. */
  update(items, keyOf, fill) {
    const left = new Map(this.rows);
    items.forEach((item, place) => {
      const key = keyOf(item);
      left.delete(key);
      const row = this.rowOf(key);
      if (this.body.children[place] !== row.element) {
        this.body.insertBefore(row.element, this.body.children[place] ?? null);
      }
      fill(row, item);
    });
    for (const [key, row] of left) {
      row.element.remove();
      this.rows.delete(key);
    }
  }

  rowOf(key) {
    let row = this.rows.get(key);
    if (!row) {
      row = this.make(key);
      this.rows.set(key, row);
    }
    return row;
  }
}
