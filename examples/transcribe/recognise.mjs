// recognise.mjs: the engine for whole files. It reads a path a line on standard input (samples s16le, 16 kHz, mono) and writes a line for
// each, the text as JSON.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { open } from './moonshine.mjs';
import { samplesOf } from './samples.mjs';

const understand = await open();
for await (const file of createInterface({ input: process.stdin }))
  for await (const pcm of samplesOf([await readFile(file)])) console.log(JSON.stringify(await understand(pcm)));
