import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from './page.mjs';

// eventually waits for what a function gives to be what is wanted.
async function eventually(get, want) {
  for (const end = Date.now() + 120000; ; await new Promise((r) => setTimeout(r, 20))) {
    try {
      return assert.deepEqual(await get(), want);
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

// earshot stands for the console: its feed says what it is told to.
async function earshot(t, port = 0) {
  const asked = [], feeds = [];
  const server = createServer((request, response) => {
    asked.push([request.url, request.headers.authorization, request.headers['last-event-id'] ?? 'new'].join(' '));
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
    feeds.push(response);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  t.after(() => { feeds.forEach((f) => f.destroy()); server.close(); });
  return { url: `http://127.0.0.1:${server.address().port}`, asked, send: (text) => feeds.forEach((f) => f.write(text)) };
}

async function served(t, url) {
  const p = spawn(process.execPath, [fileURLToPath(new URL('serve.mjs', import.meta.url)), url, '0'], { env: { ...process.env, TOKEN: 'the-token' }, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => p.kill());
  const [line] = await once(p.stdout.setEncoding('utf8'), 'data');
  return line.trim();
}

const said = (more) => `event: transcript\ndata: ${JSON.stringify({ call: 's-1', track: 1, role: 'customer', consumer: 'asr', final: true, ...more })}\n\n`;

test('the page shows who says what, and a suggestion for the word that it waits for', async (t) => {
  const { url, asked, send } = await earshot(t);
  const server = await served(t, url);
  const page = await open(server);
  t.after(page.leave);
  await eventually(() => asked, ['/events Bearer the-token new']);
  const calls = () => page.read().calls;

  send(said({ start: 3, text: 'I want to', final: false }));
  await eventually(calls, ['(0:03.0 customer I want to)']);
  send(': a comment\n\nevent: other\ndata: {}\n\n' + said({ track: 2, role: 'agent', start: 4.5, text: 'My password is no hint.' }));
  send(said({ start: 3, text: 'I want to cancel.' }));
  await eventually(calls, ['0:03.0 customer I want to cancel.', '0:04.5 agent My password is no hint.']);
  await eventually(() => page.read().suggestions, ['The customer may want to leave: offer the retention plan.']);

  send(said({ call: 's-2', start: 61.25, text: '<b>Hello</b>' }));
  await eventually(() => calls().at(-1), '1:01.3 customer <b>Hello</b>');
  assert.equal(page.read().state, 'live');

  const again = await fetch(new URL('events', server), { headers: { 'Last-Event-ID': 'b-7' } });
  assert.equal(asked.at(-1), '/events Bearer the-token b-7');
  await again.body.cancel();
});

test('a page of another name is shown nothing', async (t) => {
  const { url, asked } = await earshot(t);
  const server = await served(t, url);
  for (const path of ['/events', '/']) {
    const [answer] = await once(request(new URL(path, server), { headers: { Host: 'evil.example.com:8090' } }).end(), 'response');
    assert.equal(answer.statusCode, 421);
    answer.destroy();
  }
  assert.deepEqual(asked, []);
  const [answer] = await once(request(server, { headers: { Host: 'localhost:8090' } }).end(), 'response');
  assert.equal(answer.statusCode, 200);
  answer.destroy();
});

test('what a mask takes back is taken off the page', async (t) => {
  const { url, asked, send } = await earshot(t);
  const page = await open(await served(t, url));
  t.after(page.leave);
  await eventually(() => asked.length, 1);
  send(said({ start: 1, text: 'Before.', from_samples: 8000, samples: 8000 }) + said({ start: 2, text: 'My card is', from_samples: 16000, samples: 8000 }));
  send(said({ start: 2, text: 'Go on.', from_samples: 16000, samples: 8000, track: 2, role: 'agent' }));
  send(said({ start: 3, text: 'four two', from_samples: 24000, samples: 8000, final: false }));
  await eventually(() => page.read().calls.length, 4);
  send(`event: transcript_revoked\ndata: ${JSON.stringify({ call: 's-1', track: 1, consumer: 'asr', from_samples: 16000, samples: 16000 })}\n\n`);
  await eventually(() => page.read().calls, ['0:01.0 customer Before.', '0:02.0 agent Go on.']);
  send(said({ start: 5, text: 'Thank you', from_samples: 40000, samples: 8000, final: false }));
  await eventually(() => page.read().calls.at(-1), '(0:05.0 customer Thank you)');
});

test('where no earshot is the page waits for one', async (t) => {
  const nobody = createServer();
  await once(nobody.listen(0, '127.0.0.1'), 'listening');
  const { port } = nobody.address();
  await once(nobody.close(), 'close');
  const url = await served(t, `http://127.0.0.1:${port}`);
  const feed = await fetch(new URL('events', url));
  assert.deepEqual([feed.status, await feed.text()], [502, `no event feed at http://127.0.0.1:${port}: ECONNREFUSED\n`]);
  assert.equal((await fetch(new URL('other', url))).status, 404);

  const page = await open(url);
  t.after(page.leave);
  await eventually(() => page.read().state, 'connecting');
  const { asked, send } = await earshot(t, port);
  await eventually(() => asked.length, 1);
  send(said({ start: 0, text: 'Hello.' }));
  await eventually(() => page.read(), { calls: ['0:00.0 customer Hello.'], suggestions: [], state: 'live' });
});
