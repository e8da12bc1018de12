import fc from 'fast-check';
import t from 'tap';
import { checkClusterName } from '../../src/base/node-name.js';
import { type ClusterMeasurement, chooseCluster } from '../../src/cluster/auto.js';

const limits = { nodeId: 'host-1', thresholdUs: 500, maxMembers: 64 };

function measure(cluster: string, rttsUs: (number | undefined)[], memberCount = rttsUs.length): ClusterMeasurement[] {
  return rttsUs.map((rttUs) => ({ cluster, memberCount, rttUs }));
}

t.test('the first node founds a cluster, named after itself', async (t) => {
  const choice = chooseCluster({ ...limits, measurements: [] });
  t.same(choice, { name: 'near-host-1', founded: true, reason: 'founded "near-host-1": there is no cluster yet' });
});

t.test('it joins the nearest by median: one slow member and one fast guess decide nothing', async (t) => {
  const measurements = [...measure('far', [30, 700, 710]), ...measure('near', [110, 120, 90_000]), ...measure('nearby', [300, 310, 320])];
  const choice = chooseCluster({ ...limits, measurements });
  t.match(choice, { name: 'near', founded: false });
  t.equal(choice.reason, 'joined "near" (median 120 µs to 3 of 3 members): the nearest within 500 µs that has room');
});

t.test('at the threshold is near enough, beyond it is not', async (t) => {
  t.equal(chooseCluster({ ...limits, measurements: measure('a', [500]) }).name, 'a');
  const beyond = chooseCluster({ ...limits, measurements: measure('a', [501]) });
  t.match(beyond, { name: 'near-host-1', founded: true });
  t.equal(beyond.reason, 'founded "near-host-1": the nearest cluster is "a" (median 501 µs to 1 of 1 members), beyond 500 µs');
});

t.test('a full cluster is passed over, and the reason says so', async (t) => {
  const full = measure('full', [100, 110], 64);
  const second = chooseCluster({ ...limits, measurements: [...full, ...measure('roomy', [400], 63)] });
  t.match(second, { name: 'roomy', founded: false, reason: /nearer but full: "full" \(median 100 µs to 2 of 64 members\)$/ });
  const own = chooseCluster({ ...limits, measurements: [...full, ...measure('far', [900])] });
  t.match(own, { name: 'near-host-1', founded: true, reason: /every cluster within 500 µs has its 64 members: "full"/ });
});

t.test('of two at one distance the larger one, then by name', async (t) => {
  t.equal(chooseCluster({ ...limits, measurements: [...measure('a', [100], 3), ...measure('b', [100], 7)] }).name, 'b');
  t.equal(chooseCluster({ ...limits, measurements: [...measure('b', [100], 7), ...measure('a', [100], 7)] }).name, 'a');
});

t.test('whoever does not answer is no measure', async (t) => {
  t.equal(chooseCluster({ ...limits, measurements: measure('a', [undefined, undefined, 130]) }).name, 'a');
  const names = ['a', 'b', 'c', 'd', 'e'];
  const nobody = chooseCluster({ ...limits, measurements: names.flatMap((name) => measure(name, [undefined, Number.NaN], 9)) });
  t.match(nobody, { name: 'near-host-1', founded: true });
  t.match(nobody.reason, /no member of "a" \(none of 9 members answered\), .* and 2 more answered$/);
});

t.test('an earlier choice is kept, whatever is measured now', async (t) => {
  const measurements = [...measure('chosen', [9000], 64), ...measure('nearer', [100])];
  t.same(chooseCluster({ ...limits, measurements, current: 'chosen' }), {
    name: 'chosen',
    founded: false,
    reason: 'stays in "chosen", chosen earlier; now "chosen" (median 9000 µs to 1 of 64 members)',
  });
  const alone = chooseCluster({ ...limits, measurements, current: 'near-host-1' });
  t.match(alone, { name: 'near-host-1', founded: false, reason: /no other member of it is known now/ });
});

t.test('a founded name is valid, new, and the node’s own', async (t) => {
  const taken = [...measure('near-host-1', [900]), ...measure('near-host-1-2', [undefined])];
  t.equal(chooseCluster({ ...limits, measurements: taken }).name, 'near-host-1-3');
  const long = 'x'.repeat(62);
  const [first, second] = ['a', 'b'].map((end) => chooseCluster({ ...limits, nodeId: long + end, measurements: [] }).name);
  t.not(first, second, 'two long ids that differ at their ends alone');
  const again = chooseCluster({ ...limits, nodeId: `${long}a`, measurements: measure(first ?? '', [900]) }).name;
  t.not(again, first);
  for (const name of [first, second, again]) t.doesNotThrow(() => checkClusterName(name ?? ''));
});

t.test('the order of the measurements does not matter', async (t) => {
  const measurement = fc.record({
    cluster: fc.constantFrom('a', 'b', 'c'),
    memberCount: fc.integer({ min: 1, max: 70 }),
    rttUs: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
  });
  const shuffled = fc
    .array(measurement, { maxLength: 12 })
    .chain((measurements) =>
      fc.tuple(
        fc.constant(measurements),
        fc.shuffledSubarray(measurements, { minLength: measurements.length, maxLength: measurements.length }),
      ),
    );
  fc.assert(
    fc.property(shuffled, ([measurements, others]) => {
      const choice = chooseCluster({ ...limits, measurements });
      const other = chooseCluster({ ...limits, measurements: others });
      const existing = new Set<string>(measurements.map(({ cluster }) => cluster));
      return choice.name === other.name && choice.reason === other.reason && choice.founded !== existing.has(choice.name);
    }),
  );
  t.pass();
});

/** Hosts in racks join one after another, in any order; each measures a few members of each cluster. */
interface Hall {
  rackCount: number;
  hostsARack: number;
  maxMembers: number;
  seed: number;
}

function fill({ rackCount, hostsARack, maxMembers, seed }: Hall): Map<string, { host: string; rack: number }[]> {
  const random = randomOf(seed);
  const hosts = shuffle(
    Array.from({ length: rackCount * hostsARack }, (_, index) => ({ host: `host-${index}`, rack: index % rackCount })),
    random,
  );
  const clusters = new Map<string, { host: string; rack: number }[]>();
  for (const host of hosts) {
    const measurements = [...clusters].flatMap(([cluster, members]) =>
      shuffle([...members], random)
        .slice(0, 5)
        .map(({ rack }, index) => {
          const rttUs = rack === host.rack ? 80 + 120 * random() : 600 + 900 * random();
          // Of five members one may be busy, and one away.
          const noisyUs = members.length >= 5 && index === 0 ? rttUs * 20 : rttUs;
          return { cluster, memberCount: members.length, rttUs: members.length >= 5 && index === 1 ? undefined : noisyUs };
        }),
    );
    const choice = chooseCluster({ nodeId: host.host, measurements, thresholdUs: 500, maxMembers });
    if (choice.founded === clusters.has(choice.name)) throw new Error(`${choice.name}: founded ${choice.founded}`);
    clusters.set(choice.name, [...(clusters.get(choice.name) ?? []), host]);
  }
  return clusters;
}

t.test('320 hosts in 8 racks: each ends with its rack', async (t) => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const clusters = [...fill({ rackCount: 8, hostsARack: 40, maxMembers: 64, seed }).values()];
      return (
        clusters.length === 8 && clusters.every((members) => members.length === 40 && new Set(members.map(({ rack }) => rack)).size === 1)
      );
    }),
    { numRuns: 10 },
  );
  t.pass();
});

t.test('racks that are larger than a cluster may be split, and never mix', async (t) => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, maxMembers) => {
      const clusters = [...fill({ rackCount: 4, hostsARack: 40, maxMembers, seed }).values()];
      const alike = clusters.every((members) => members.length <= maxMembers && new Set(members.map(({ rack }) => rack)).size === 1);
      // None is founded while there is room in the rack.
      return alike && clusters.length === 4 * Math.ceil(40 / maxMembers);
    }),
    { numRuns: 20 },
  );
  t.pass();
});

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffle<Item>(items: Item[], random: () => number): Item[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const [left, right] = [items[last], items[other]];
    if (left !== undefined && right !== undefined) [items[last], items[other]] = [right, left];
  }
  return items;
}
