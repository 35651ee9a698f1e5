/* Figures and requests as texts. All that comes from the server is shown as text, never as markup;
   what could hide or turn round other text in it is spelled out. */

const NOTHING = "–";
const LONGEST_LINE = 400;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const hundredths = new Intl.NumberFormat("en", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/** Of a scale: in few characters, exactly only if it is round. */
const short = new Intl.NumberFormat("en", { notation: "compact" });

function countText(count) {
  return whole.format(count);
}

function rateText(perSecond) {
  if (perSecond === null) return NOTHING;
  return perSecond < 9.95 ? tenths.format(perSecond) : whole.format(perSecond);
}

function shareText(share) {
  return share === null ? NOTHING : `${tenths.format(share * 100)} %`;
}

/** Seconds a second, such as of CPU time. */
function loadText(load) {
  return load === null ? NOTHING : hundredths.format(load);
}

function durationText(seconds) {
  if (seconds <= 0) return "0 ms";
  if (seconds < 0.00995) return `${hundredths.format(seconds * 1000)} ms`;
  if (seconds < 0.9995) return `${whole.format(seconds * 1000)} ms`;
  if (seconds < 9.995) return `${hundredths.format(seconds)} s`;
  if (seconds < 119.95) return `${tenths.format(seconds)} s`;
  if (seconds < 7200) {
    return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  }
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** One of the bounds of a histogram, exactly. */
function boundText(seconds) {
  return seconds < 1 ? `${Number((seconds * 1000).toFixed(3))} ms` : `${seconds} s`;
}

function bytesText(bytes) {
  if (bytes === null) return NOTHING;
  let unit = 0;
  while (bytes >= 1023.5 && unit < 4) {
    bytes /= 1024;
    unit++;
  }
  return `${unit ? tenths.format(bytes) : whole.format(bytes)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

/** With what is not to be seen written as its number: controls, marks of direction, and so on. */
function printable(text) {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (each) => `\\u{${each.codePointAt(0).toString(16)}}`,
  );
}

/** A request line for a row; the dialog has all of it. */
function lineText(line) {
  const text = printable(line.slice(0, LONGEST_LINE));
  return line.length > LONGEST_LINE ? `${text}…` : text;
}

function words(name) {
  return printable(name).replaceAll("_", " ");
}

function clockText(date) {
  return date.toLocaleTimeString([], { hour12: false });
}
