import { get, send, session } from './api.js';
import { Dashboard } from './dashboard.js';
import { OwnOrders } from './orders.js';

/** @returns {any} */
const $ = (id) => document.getElementById(id);

// What is on the page; tests read it.
const page = { user: null, administrator: false, state: 'connecting', starts: 0 };
Object.assign(window, { orders: page });
let parts = [];
let api = session();

/** Shows what this user may see. Called again whenever that may have changed. */
async function start() {
  for (const part of parts) part.stop();
  parts = [];
  api = session();
  state('connecting');
  const mine = (page.starts += 1);
  const { ok, status, body } = await get('/me');
  if (mine !== page.starts) return; // several feeds end at once
  if (!ok && status !== 401) return void setTimeout(start, 2_000);
  page.user = ok ? body.user : null;
  page.administrator = ok && body.administrators !== null;
  show();
  if (!ok) return;
  const on = { state, lost: start };
  parts = [new OwnOrders(page.user, api, on), ...(page.administrator ? [new Dashboard(api, on)] : [])];
  for (const part of parts) await part.start();
}

function show() {
  const isIn = page.user !== null;
  $('login').hidden = isIn;
  $('own').hidden = !isIn;
  $('session').hidden = !isIn;
  $('dashboard').hidden = !page.administrator;
  $('role').hidden = !page.administrator;
  $('user').textContent = page.user ?? '';
  if (!isIn) $('name').focus();
}

function state(name) {
  page.state = name;
  $('chip').dataset.state = name;
  $('chip').textContent = name;
}

$('login-form').onsubmit = async (event) => {
  event.preventDefault();
  const { refused } = await send(api, '/login', { user: $('name').value });
  $('login-refusal').textContent = refused ?? '';
  if (!refused) await start();
};

$('logout').onclick = async () => {
  await send(api, '/logout', {});
  await start();
};

await start();
