// The token: in this tab's memory, and in sessionStorage, which ends with the tab. Never in a URL, never in a cookie.

const KEY = "collector.token";
let held = stored();

export const token = () => held;
export const authorization = () => (held ? { Authorization: `Bearer ${held}` } : {});

export function keep(value) {
  held = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // A browser that keeps nothing: it lasts until the page is left.
  }
}

export function forget() {
  held = "";
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // It was never kept.
  }
}

function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}
