import { expect, scenario, until } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { gateService, User } from './lib/orders.mjs';

await scenario('two users order, and an administrator delivers', async (world) => {
  const { origin } = await gateService(world);
  const ada = await User.logIn(world, origin, 'ada');
  const bob = await User.logIn(world, origin, 'bob');
  const grace = await User.logIn(world, origin, 'grace');
  expect('dashboards', [await ada.hasDashboard(), await bob.hasDashboard(), await grace.hasDashboard()], [false, false, true]);

  await ada.order('Coffee', 2, 'c71');
  await ada.shows('orders', ['C71 2 × Coffee Open']);
  await bob.order('Salad', 1, 'A1');
  await bob.shows('orders', ['A1 1 × Salad Open']);
  await grace.shows('open', ['C71 2 × Coffee Open', 'A1 1 × Salad Open']);
  await grace.shows('orders', []);
  await until('the dashboard counts', async () => (await grace.row('Coffee')) === '2 0 0 € 0.00');

  await grace.page.locator('#open .card', { hasText: 'Coffee' }).getByRole('button', { name: 'Deliver' }).click();
  await ada.shows('orders', ['C71 2 × Coffee Delivered']);
  await grace.shows('open', ['A1 1 × Salad Open']);
  await until('the dashboard counts', async () => (await grace.row('Coffee')) === '0 2 0 € 7.00');
  await bob.page.getByRole('button', { name: 'Cancel' }).click();
  await bob.shows('orders', ['A1 1 × Salad Cancelled']);
  await grace.shows('open', []);
  await ada.shows('orders', ['C71 2 × Coffee Delivered']);

  // A refusal is shown, and a reload loses nothing.
  await ada.order('Coffee', 1, 'nowhere'.slice(0, 4));
  await until('the refusal', async () => (await ada.page.locator('#order-refusal').textContent()).includes('such as C71'));
  await ada.page.reload();
  await ada.shows('orders', ['C71 2 × Coffee Delivered']);
  for (const scheme of ['dark', 'light']) {
    await grace.page.emulateMedia({ colorScheme: scheme });
    await grace.page.screenshot({ path: `${world.folder}/orders-${scheme}.png` });
  }
  await ada.page.screenshot({ path: `${world.folder}/orders-customer.png` });
  await ada.page.getByRole('button', { name: 'Log out' }).click();
  await ada.page.getByRole('heading', { name: 'Log in' }).waitFor();
  return 'three users';
});
