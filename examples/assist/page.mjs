// A browser as small as assist.html needs it, for tests: it loads a page, runs its script, and gives what can be read on it. As a program,
// `node page.mjs URL` prints that each time it changes, a line of JSON each.
import { pathToFileURL } from 'node:url';
import { feed } from '../transcribe/feed.mjs';

class Element {
  constructor(name) {
    Object.assign(this, { name, className: '', inside: [], parent: null });
  }
  append(...what) { this.#put(this.inside.length, what); }
  prepend(...what) { this.#put(0, what); }
  replaceWith(other) {
    this.parent.#put(this.parent.inside.indexOf(this), [other]);
    this.remove();
  }
  remove() { this.parent.inside.splice(this.parent.inside.indexOf(this), 1); }
  #put(at, what) {
    for (const e of what) if (e instanceof Element) e.parent = this;
    this.inside.splice(at, 0, ...what);
  }
  set textContent(text) { this.inside = [text]; }
  get textContent() { return this.inside.map((e) => e.textContent ?? e).join(' '); }
}

// open gives a function that reads the page: {id: [the text of each paragraph, "(...)" where it is pale]}; and one that leaves it.
export async function open(url) {
  const html = await (await fetch(url)).text();
  const [, script] = /<script>(.*)<\/script>/s.exec(html);
  const ids = new Map([...html.matchAll(/id="(\w+)"/g)].map(([, id]) => [id, new Element(id)]));
  const left = new AbortController();
  class EventSource {
    static CLOSED = 2;
    #handlers = {};
    constructor(path) { this.#run(new URL(path, url)); }
    addEventListener(event, handler) { this.#handlers[event] = handler; }
    async #run(from) {
      await null; // the page sets its handlers first
      try {
        for await (const e of feed(from, '', left.signal)) {
          this.onopen(); // a browser calls it before the first event
          this.#handlers[e.event]?.(e);
        }
      } catch {
        if (left.signal.aborted) return;
        this.readyState = EventSource.CLOSED;
      }
      this.onerror();
    }
  }
  const document = { getElementById: (id) => ids.get(id), createElement: (name) => new Element(name) };
  new Function('document', 'EventSource', script)(document, EventSource);
  const paragraphs = (e) => e.inside.flatMap((x) => (x.name === 'p' ? [x.className.includes('partial') ? `(${x.textContent})` : x.textContent] : x instanceof Element ? paragraphs(x) : []));
  return { read: () => ({ calls: paragraphs(ids.get('calls')), suggestions: paragraphs(ids.get('suggestions')), state: ids.get('state').textContent }), leave: () => left.abort() };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const page = await open(process.argv[2]);
  let shown = '';
  const look = setInterval(() => {
    const now = JSON.stringify(page.read());
    if (now !== shown) console.log((shown = now));
  }, 50);
  process.on('SIGTERM', () => { clearInterval(look); page.leave(); });
}
