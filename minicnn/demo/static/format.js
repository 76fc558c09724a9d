// Elements, and numbers as text.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const minus = (text) => text.replaceAll("-", "−");

// Four digits; smaller numbers are written with an exponent, not as 0.
export const number = (value) => minus(value !== 0 && Math.abs(value) < 5e-5 ? value.toExponential(1) : value.toFixed(4));

// For cells with little room.
export const short = (value) => (Number.isInteger(value) ? minus(String(value)) : minus(value.toFixed(2)).replace("0.", ".").replace("−.00", ".00"));

// Three digits.
export const amount = (value) => {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return minus(size < 1e-3 || size >= 1e5 ? value.toExponential(2) : size >= 100 ? value.toFixed(0) : value.toPrecision(3));
};

// One decimal; of small shares two digits, down to a millionth of a per cent.
export const percent = (share) => {
  const value = 100 * share;
  if (value === 0 || value >= 0.05) return `${value.toFixed(1)} %`;
  return `${value >= 1e-6 ? value.toPrecision(2) : amount(value)} %`;
};

export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

// Change the text of an element, if it is another one: each change makes the browser lay out and paint anew.
export function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
