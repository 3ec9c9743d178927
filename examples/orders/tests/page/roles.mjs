import { expect, scenario, until } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { gateService, User } from './lib/orders.mjs';

await scenario('a role that is revoked ends the dashboard', async (world) => {
  const { origin } = await gateService(world);
  const ada = await User.logIn(world, origin, 'ada');
  const bob = await User.logIn(world, origin, 'bob');
  const grace = await User.logIn(world, origin, 'grace');

  await grace.page.getByRole('textbox', { name: 'Name' }).fill('bob');
  await grace.page.getByRole('button', { name: 'Make administrator' }).click();
  await until("bob's dashboard", () => bob.hasDashboard());
  await ada.order('Sandwich', 3, 'B7');
  await bob.shows('open', ['B7 3 × Sandwich Open']);

  await grace.page.getByRole('button', { name: "Revoke bob's role" }).click();
  await until("the end of bob's dashboard", async () => !(await bob.hasDashboard()));
  const began = (await bob.until('is live', ({ state }) => state === 'live')).starts;
  await ada.order('Coffee', 1, 'B8');
  await grace.shows('open', ['B7 3 × Sandwich Open', 'B8 1 × Coffee Open']);
  await bob.shows('orders', []);
  expect("bob's page was not loaded again for the orders of others", (await bob.read()).starts, began);
  return 'granted and revoked';
});
