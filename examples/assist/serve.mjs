// serve.mjs: serves assist.html, and hands earshot's event feed on to it. The console's token stays here: it opens the audio of every call,
// so it is not for a browser.
//
//   TOKEN=... node serve.mjs [http://127.0.0.1:8080] [port]
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';

const [console_ = 'http://127.0.0.1:8080', port = '8090'] = process.argv.slice(2);

async function feed(request, response) {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
  const last = request.headers['last-event-id']; // of a browser that comes back: it gets what it missed
  if (last) headers['Last-Event-ID'] = last;
  const events = await fetch(`${console_}/events`, { headers, signal: gone.signal });
  response.writeHead(events.status, { 'Content-Type': events.headers.get('Content-Type'), 'Cache-Control': 'no-store' });
  response.flushHeaders();
  Readable.fromWeb(events.body).on('error', () => response.destroy()).pipe(response);
}

// A page of anybody's may have its own name point to 127.0.0.1, and would then read the calls in the browser of who has this one open (DNS
// rebinding): its name stands in Host.
const ours = (host = '') => ['127.0.0.1', 'localhost'].includes(host.replace(/:\d+$/, ''));

const server = createServer(async (request, response) => {
  try {
    if (!ours(request.headers.host)) return response.writeHead(421).end('this page is at http://127.0.0.1 only\n');
    if (request.url === '/events') return await feed(request, response);
    if (request.url !== '/') return response.writeHead(404).end();
    const page = await readFile(new URL('assist.html', import.meta.url));
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' }).end(page);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end(`no event feed at ${console_}: ${error.cause?.code ?? error.message}\n`);
  }
});
server.listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
