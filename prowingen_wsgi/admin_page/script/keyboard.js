/* Theme, pause, filter and help: by buttons, and by single keys unless these are turned off. */

/** What a visitor has chosen, for the next visit; where nothing is kept, for this one. */
const choices = {
  get(name) {
    try {
      return localStorage.getItem(`prowingen ${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`prowingen ${name}`, value);
    } catch {
      // A browser that keeps nothing of this page has been told so by its user.
    }
  },
};

class Theme {
  /** tell: told when colours have changed. */
  constructor(tell) {
    this.tell = tell;
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", () => this.apply());
    byId("theme").addEventListener("click", () => this.turn());
    this.chosen = choices.get("theme");
    this.apply();
  }

  get isDark() {
    return this.chosen ? this.chosen === "dark" : this.system.matches;
  }

  turn() {
    this.chosen = this.isDark ? "light" : "dark";
    choices.set("theme", this.chosen);
    this.apply();
  }

  apply() {
    if (this.chosen) document.documentElement.dataset.theme = this.chosen;
    say("theme", this.isDark ? "Light" : "Dark");
    colours.clear();
    this.tell();
  }
}

class Pause {
  /** tell: told when it ends. */
  constructor(tell) {
    this.tell = tell;
    this.isOn = false;
    byId("pause").addEventListener("click", () => this.turn());
  }

  turn() {
    this.isOn = !this.isOn;
    byId("pause").setAttribute("aria-pressed", String(this.isOn));
    say("paused", this.isOn ? `paused at ${clockText(new Date())}` : "");
    if (!this.isOn) this.tell();
  }
}

class Filter {
  /** tell: told what is looked for, in small letters; empty: everything is shown. */
  constructor(tell) {
    this.field = byId("filter");
    this.field.addEventListener("input", () => tell(this.field.value.trim().toLowerCase()));
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.field.value = "";
      this.field.blur();
      tell("");
    });
  }
}

class Keyboard {
  /** actions: by key. */
  constructor(actions) {
    this.actions = actions;
    const box = byId("shortcuts");
    box.checked = choices.get("shortcuts") !== "off";
    box.addEventListener("change", () => choices.set("shortcuts", box.checked ? "on" : "off"));
    byId("help-open").addEventListener("click", actions["?"]);
    document.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    const action = this.actions[event.key];
    if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
    if (!byId("shortcuts").checked || isTypedInto(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    action();
  }
}

function isTypedInto(element) {
  return element.matches("input:not([type=checkbox]), select, textarea");
}
