// node-postgres behind two pipes: one command in JSON per line comes in, one answer per line goes
// out. The connection parameters are the first line.
'use strict';
const { createInterface } = require('node:readline');
const { Pool } = require('pg');

let pool;
let key = 88172645463325252n & 0xffffffffn;

function next(keys) {
  // xorshift32; which keys come does not matter, only that no cache foresees them.
  let x = Number(key);
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  key = BigInt(x >>> 0);
  return ((x >>> 0) % keys) + 1;
}

function check(condition, what) {
  if (!condition) throw new Error(what);
}

async function select() {
  const id = next(100000);
  const { rows } = await pool.query({ name: 'select', text: texts.select, values: [id] });
  check(rows.length === 1 && Number(rows[0].id) === id, `asked for user ${id}`);
  check(rows[0].created_at instanceof Date, 'a time that was not decoded');
}

async function decode() {
  const first = next(99000);
  const values = [first, first + 999];
  const { rows } = await pool.query({ name: 'range', text: texts.range, values });
  check(rows.length === 1000, `asked for 1000 users from ${first}`);
}

function inserted(session, id) {
  return session.query({ name: 'insert', text: texts.insert, values: [id, texts.body, 5] });
}

function updated(session, id) {
  return session.query({ name: 'update', text: texts.update, values: [id, texts.name] });
}

async function insert() {
  check((await inserted(pool, next(100000))).rowCount === 1, 'nothing was inserted');
}

async function update() {
  check((await updated(pool, next(100000))).rowCount === 1, 'nothing was updated');
}

async function transaction() {
  const id = next(100000);
  const session = await pool.connect();
  await session.query('begin');
  const touched = (await updated(session, id)).rowCount + (await inserted(session, id)).rowCount;
  await session.query('commit');
  session.release();
  check(touched === 2, 'not both rows were touched');
}

async function slow() {
  if (next(100) > 1) return select();
  const seconds = 0.05 * (1 + next(100000) / 100000);
  await pool.query({ name: 'slow', text: texts.slow, values: [seconds] });
  return false;
}

async function acquire() {
  (await pool.connect()).release();
}

async function bulk() {
  const { id, name, email, active, at } = columns;
  const values = [id, name, email, active, at];
  const { rowCount } = await pool.query({ name: 'unnest', text: texts.unnest, values });
  check(rowCount === id.length, 'not all rows were written');
}

const columns = { id: [], name: [], email: [], active: [], at: [] };
for (let i = 0; i < 10000; i++) {
  columns.id.push(i);
  columns.name.push(`user name ${i}`);
  columns.email.push(`user${i}@example.com`);
  columns.active.push(i % 3 !== 0);
  columns.at.push(new Date(1.7e12 + i * 1000));
}

const works = { select, decode, insert, update, transaction, bulk, slow, acquire };
let texts;

async function runFor({ workload, tasks, milliseconds }) {
  const work = works[workload];
  const latencies = [];
  const end = process.hrtime.bigint() + BigInt(milliseconds) * 1000000n;
  const task = async () => {
    let before = process.hrtime.bigint();
    while (before < end) {
      const counted = await work();
      const after = process.hrtime.bigint();
      if (counted !== false) latencies.push(Number(after - before));
      before = after;
    }
  };
  await Promise.all(Array.from({ length: tasks }, task));
  return latencies;
}

async function runCount({ workload, tasks, pieces }) {
  let left = pieces;
  const task = async () => {
    while (left-- > 0) await works[workload]();
  };
  await Promise.all(Array.from({ length: tasks }, task));
  return [];
}

async function answer(command) {
  if (command.connect) {
    pool = new Pool({ ...command.connect, max: 10 });
    texts = command.texts;
    await pool.query('select 1');
    return [];
  }
  return command.pieces === undefined ? runFor(command) : runCount(command);
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  try {
    process.stdout.write(`${JSON.stringify({ latencies: await answer(JSON.parse(line)) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error.message) })}\n`);
  }
}).on('close', () => process.exit(0));
