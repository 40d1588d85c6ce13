import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunFigures } from '../jobs/index.js';
import { Metrics } from './metrics.js';

const deploy = (path: string) => readFileSync(new URL(`../../deploy/${path}`, import.meta.url), 'utf8');

interface Panel {
  id: number;
  title: string;
  type: string;
  datasource: { type: string; uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets: { expr: string; refId: string; legendFormat: string; datasource: { uid: string } }[];
}
interface Dashboard {
  uid: string;
  title: string;
  schemaVersion: number;
  templating: { list: { name: string; type: string; query: string | { query: string } }[] };
  panels: Panel[];
}

const dashboard = JSON.parse(deploy('grafana/vapp-vault.json')) as Dashboard;
const rules = deploy('prometheus/rules.yml');
const expressions = [
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
  ...[...rules.matchAll(/- alert: (\w+)\n\s+expr: (.+)/g)].map(([, name, expr]) => [name as string, expr as string] as const),
];

/** Name -> its labels, as Prometheus would see them. */
const labels = new Map<string, Set<string>>();

beforeAll(async () => {
  const figures: RunFigures = {
    now: [{ kind: 'backup', state: 'queued', runs: 1 }],
    ended: [{ kind: 'backup', state: 'failed', runs: 1, seconds: 1, buckets: [1] }],
    boundsSeconds: [10],
    ...{ oldestWaitSeconds: 1, waitingOrganizations: 1, openObligations: 1, oldestObligationSeconds: 1, permitsHeld: 1, permitsWaiting: 1 },
    totals: {},
  };
  const alerts = {
    countFiring: async () => [{ kind: 'rpo-missed', severity: 'warning' as const, count: 1 }],
    countMessages: async () => [{ channel: 'webhook', waiting: 1, givenUp: 1, refused: 1 }],
    sourceStates: () => [{ kind: 'rpo-missed', isFailing: true }],
  };
  const space = { read: async () => ({ freeBytes: 1, sizeBytes: 2 }) };
  const text = await new Metrics({ figures: async () => figures }, alerts, space).text();
  for (const [, name, inner] of text.matchAll(/^(vapp_vault_\w+)(?:\{(.*)\})? /gm)) {
    const known = labels.get(name as string) ?? new Set(['instance', 'job']);
    for (const [, label] of (inner ?? '').matchAll(/(\w+)="/g)) known.add(label as string);
    labels.set(name as string, known);
  }
});

describe('the dashboard and the rules', () => {
  it('ask only for metrics that there are, by labels that these have', () => {
    for (const [where, expr] of expressions) {
      const names = expr.match(/vapp_vault_\w+/g) ?? [];
      expect(names.length, where).toBeGreaterThan(0);
      for (const name of names) expect(labels.has(name), `${where}: ${name}`).toBe(true);
      const known = new Set(names.flatMap((name) => [...(labels.get(name) ?? [])]));
      const selected = [...expr.matchAll(/(\w+)(?:=~?|!=)"/g)].map(([, label]) => label as string);
      const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => (list as string).split(', '));
      for (const label of [...selected, ...grouped]) expect(known.has(label), `${where}: ${label}`).toBe(true);
    }
    for (const { title, targets } of dashboard.panels) {
      for (const { expr, legendFormat } of targets) {
        const known = new Set((expr.match(/vapp_vault_\w+/g) ?? []).flatMap((name) => [...(labels.get(name) ?? [])]));
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          expect(known.has(label as string), `${title}: ${label}`).toBe(true);
      }
    }
  });

  it('are rules that hold nothing against an absence whose labels are others', () => {
    // What `absent` gives has the labels it was asked with: without on() the two sides never match.
    for (const [where, expr] of expressions) expect(expr, where).not.toMatch(/\b(?:and|or|unless) absent/);
  });

  it('show every metric of the service', () => {
    const shown = new Set(expressions.flatMap(([, expr]) => expr.match(/vapp_vault_\w+/g) ?? []));
    expect([...labels.keys()].filter((name) => !shown.has(name))).toEqual([]);
  });

  it('are a dashboard as Grafana imports it: a source to choose, panels with numbers of their own that do not overlap', () => {
    const { templating, panels } = dashboard;
    expect(dashboard).toMatchObject({ uid: 'vapp-vault', title: 'vApp Vault', schemaVersion: expect.any(Number) });
    expect(templating.list.map(({ name, type }) => `${name}: ${type}`)).toEqual(['datasource: datasource', 'instance: query']);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = new Set<string>();
    for (const { title, type, datasource, gridPos, targets } of panels) {
      expect(['timeseries', 'stat'], title).toContain(type);
      expect([datasource.uid, ...targets.map((target) => target.datasource.uid)], title).toEqual(
        Array.from({ length: targets.length + 1 }, () => `\${datasource}`),
      );
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
      const { x, y, w, h } = gridPos;
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let row = y; row < y + h; row++) {
          expect(cells.has(`${column}:${row}`), `${title} lies over another panel`).toBe(false);
          cells.add(`${column}:${row}`);
        }
      }
    }
  });
});
