// watch.mjs URL: what both parties of each live call say, as it is understood. On a terminal also what is not over yet, in the last line.
import { feed } from './feed.mjs';

const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, '0')}`;
const { isTTY, columns = 80 } = process.stdout;

for await (const { event, data } of feed(process.argv[2], process.env.TOKEN)) {
  if (event !== 'transcript') continue;
  const t = JSON.parse(data);
  const line = `${clock(t.start).padStart(7)} - ${clock(t.end).padEnd(7)} ${(t.role || t.party || '').padEnd(9)} ${t.text}`;
  if (isTTY) process.stdout.write('\r\x1b[K');
  if (t.final) console.log(line);
  else if (isTTY) process.stdout.write(line.slice(0, columns - 1));
}
