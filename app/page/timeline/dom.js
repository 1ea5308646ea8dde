// Elements of the page, and new ones. What is put in is only ever text.

export const one = (id) => document.getElementById(id);

/** h("p", {class: "x", onclick: f}, "text", child): an attribute that is null or false is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The icon-less button of a form that must not send it. */
export const button = (words, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, words);
