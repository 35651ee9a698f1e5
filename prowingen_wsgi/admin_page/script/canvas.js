/* Canvases: as many pixels as the screen has, drawn only while they can be seen, in the colours of
   the style sheet. */

class Canvas {
  /** draw: of a context, its width and height in CSS pixels; called whenever there is need. */
  constructor(element, draw) {
    this.element = element;
    this.draw = draw;
    this.isSeen = false;
    this.isStale = true;
    this.width = 0;
    this.height = 0;
    new ResizeObserver(([entry]) => this.resize(entry.contentRect)).observe(element);
    new IntersectionObserver((entries) => this.see(entries.at(-1).isIntersecting)).observe(element);
  }

  resize({ width, height }) {
    const scale = window.devicePixelRatio;
    this.width = width;
    this.height = height;
    this.element.width = Math.round(width * scale);
    this.element.height = Math.round(height * scale);
    this.refresh();
  }

  see(isSeen) {
    this.isSeen = isSeen;
    if (isSeen && this.isStale) this.refresh();
  }

  refresh() {
    this.isStale = true;
    if (!this.isSeen || !this.width) return;
    this.isStale = false;
    const context = this.element.getContext("2d");
    const scale = this.element.width / this.width;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.draw(context, this.width, this.height);
  }
}

const colours = new Map();

/** Of a variable of the style sheet, as a canvas takes it: light-dark() is the browser's to tell. */
function colour(name) {
  if (!colours.has(name)) {
    const probe = make("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

function fontOf(element) {
  const { fontFamily } = getComputedStyle(element);
  const size = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return { size: size * 0.8, font: `${size * 0.8}px ${fontFamily}` };
}

/** To one digit, so that scales change seldom. */
function roundUp(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return Math.ceil(number / power - 0.000001) * power;
}
