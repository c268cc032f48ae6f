/**
 * xterm.js under a strict Content-Security-Policy. It writes text into <style> elements and `style` attributes, both of
 * which the policy keeps out; here they become a constructed style sheet and plain style properties, which it allows.
 * Loaded only when somebody opens a terminal: it is large.
 */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';

import { color, font } from '../styles/tokens';

export interface Emulator {
  terminal: Terminal;
  /** As many columns and rows as there is room for. */
  fit: () => void;
  dispose: () => void;
}

const theme = {
  background: color.void,
  foreground: color.text,
  cursor: color.goldBright,
  cursorAccent: color.void,
  selectionBackground: 'rgba(217, 182, 92, 0.34)',
  black: '#2a2f3a',
  red: color.bad,
  green: color.well,
  yellow: color.gold,
  blue: color.busy,
  magenta: color.unknown,
  cyan: '#6fd3e0',
  white: color.text,
  brightBlack: color.faint,
  brightRed: '#ff8f9a',
  brightGreen: '#7fdcc6',
  brightYellow: color.goldBright,
  brightBlue: '#a5caff',
  brightMagenta: '#cbb8f6',
  brightCyan: '#98e2eb',
  brightWhite: '#ffffff',
};

export async function emulatorIn(parent: HTMLElement): Promise<Emulator> {
  // Measured with the wrong font, every column would be off.
  await document.fonts.load('13px "JetBrains Mono"').catch(() => undefined);
  const allowed = allowedDocument();
  const terminal = new Terminal({
    theme,
    fontFamily: font.mono,
    fontSize: 13,
    lineHeight: 1.25,
    cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    scrollback: 5000,
    screenReaderMode: true,
    minimumContrastRatio: 4.5,
    documentOverride: allowed.document,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  allowed.during(() => terminal.open(parent));
  return {
    terminal,
    fit: () => fit.fit(),
    dispose: () => {
      terminal.dispose();
      allowed.forget();
    },
  };
}

/** A document whose new elements keep to the policy. */
function allowedDocument() {
  const real = document;
  const sheets = new Set<CSSStyleSheet>();
  const make = (name: string, options?: ElementCreationOptions): HTMLElement =>
    Document.prototype.createElement.call(real, name, options);
  const create = (name: string, options?: ElementCreationOptions) => {
    const element = make(name, options);
    if (name === 'style') asSheet(element, sheets);
    else if (name === 'span') asProperties(element);
    return element;
  };
  const other = new Proxy(real, {
    get(target, name) {
      if (name === 'createElement') return create;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return {
    document: other,
    /** xterm's scrollbar asks the real document, only while it is opened. */
    during(work: () => void) {
      Object.defineProperty(real, 'createElement', { value: create, configurable: true });
      try {
        work();
      } finally {
        delete (real as { createElement?: unknown }).createElement;
      }
    },
    forget() {
      real.adoptedStyleSheets = real.adoptedStyleSheets.filter((each) => !sheets.has(each));
    },
  };
}

function asSheet(element: HTMLElement, sheets: Set<CSSStyleSheet>): void {
  const sheet = new CSSStyleSheet();
  sheets.add(sheet);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, 'textContent', { set: (css: string) => sheet.replaceSync(css) });
}

function asProperties(element: HTMLElement): void {
  const set = element.setAttribute.bind(element);
  element.setAttribute = (name, value) => {
    if (name === 'style') element.style.cssText = value;
    else set(name, value);
  };
}
