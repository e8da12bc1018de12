import fc from 'fast-check';
import t from 'tap';
import { HedgeBudget } from '../../src/cluster/hedge-budget.js';

t.test('twenty requests earn a hedge', async (t) => {
  const budget = new HedgeBudget();
  t.notOk(budget.trySpend(), 'nothing to begin with');
  for (let request = 0; request < 19; request += 1) budget.earn();
  t.notOk(budget.trySpend());
  budget.earn();
  t.ok(budget.trySpend());
  t.notOk(budget.trySpend());
});

t.test('what is saved up is bounded', async (t) => {
  const budget = new HedgeBudget(3);
  for (let request = 0; request < 10_000; request += 1) budget.earn();
  t.same([budget.trySpend(), budget.trySpend(), budget.trySpend(), budget.trySpend()], [true, true, true, false]);
});

t.test('hedges are never more than 5 % of the requests, nor fewer where they are wanted steadily', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 2000 }), (wishes) => {
      const budget = new HedgeBudget();
      let hedges = 0;
      for (const [index, wish] of wishes.entries()) {
        budget.earn();
        if (wish && budget.trySpend()) hedges += 1;
        if (hedges > (index + 1) / 20) return false;
      }
      return !wishes.every(Boolean) || hedges === Math.floor(wishes.length / 20);
    }),
  );
  t.pass();
});
