import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everythingSeed } from '../seeds/everything.js';
import { smallSeed } from '../seeds/small-seed.js';
import { ROUTES } from './routes/index.js';
import { startTestCell, type TestCell } from './testing.js';

/** Of one kind so many are read: what is wrong with a kind of resource shows in its first few. */
const READ_OF_A_KIND = 3;
/** No link leads there: tasks are gone before they are read, and entries of metadata are read with the whole. */
const UNLINKED = ['task/:', 'event/:', 'metadata/:', 'metadata/SYSTEM/:', 'metadata/GENERAL/:'];

/** Part of a resource whose address nobody needs to be told, by kind of the resource. */
const KNOWN_PARTS: Readonly<Record<string, string>> = {
  '/api/vApp/vapp-:': 'networkSection',
  '/api/vApp/vm-:': 'runtimeInfoSection',
  '/api/vAppTemplate/vappTemplate-:': 'networkSection',
  '/api/catalog/:': 'owner',
  '/api/admin/catalog/:': 'owner',
};

/** Follows the links of the API from the session on, as the provider and as a tenant: nothing may dangle. */
describe('every resource', () => {
  let test: TestCell;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(everythingSeed()));
  });
  afterAll(() => test.close());

  const kindOf = (path: string): string => path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, ':').replace(/(\?type=\w+)?[?&].*$/, '$1');
  const linksOf = (text: string, user: string): string[] =>
    [...text.matchAll(/<[^>]*\shref="([^"]+)"[^>]*>/g)].flatMap(([tag, href = '']) => {
      const rel = / rel="([^"]+)"/.exec(tag)?.[1];
      if (rel !== undefined && !['down', 'up', 'alternate', 'nextPage', 'edit', 'catalogItem', 'storageProfile'].includes(rel)) return [];
      const target = href.replaceAll('&amp;', '&').slice(test.cell.url.length);
      if (!target.startsWith('/api/') || /\/(hwv|role|host|event|pvdcStorageProfile|action)(\/|$)|admin\/providervdc/.test(target))
        return [];
      if (user !== 'administrator' && /^\/api\/admin\/(?!org\/|user\/)/.test(target)) return [];
      return /\+json"/.test(tag) ? [] : [target];
    });

  const walk = async (user: string): Promise<{ visited: string[]; failed: string[] }> => {
    const seen = new Set<string>();
    const readOf = new Map<string, number>();
    const queue = ['/api/session', '/api/org', '/api/query', ...(user === 'administrator' ? ['/api/admin', '/api/admin/extension'] : [])];
    const [visited, failed]: [string[], string[]] = [[], []];
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const kind = kindOf(path);
      const read = readOf.get(kind) ?? 0;
      if (seen.has(path) || read >= READ_OF_A_KIND) continue;
      seen.add(path);
      readOf.set(kind, read + 1);
      const result = await test.call(user, 'GET', path);
      visited.push(path);
      if (result.status !== 200) failed.push(`${result.status} ${path}`);
      queue.push(...linksOf(result.text, user));
      const part = KNOWN_PARTS[kind];
      if (part !== undefined) queue.push(`${path}/${part}`);
    }
    return { visited, failed };
  };

  it('answers the administrator with 200 wherever a reference leads, and every kind of resource is led to', async () => {
    const { visited, failed } = await walk('administrator');
    expect(failed).toEqual([]);
    const resources = visited.map((path) => path.replace(/^\/api\/?/, '').replace(/\?.*$/, ''));
    const missed = ROUTES.filter((route) => route.method === 'GET' && !resources.some((resource) => route.pattern.test(resource)))
      .map((route) =>
        route.pattern.source
          .replaceAll('([^/]+)', ':')
          .replaceAll('\\', '')
          .replace(/^\^|\/\?\$$/g, ''),
      )
      .filter((source) => !UNLINKED.some((end) => source.endsWith(end)));
    expect(missed).toEqual([]);
  });

  it('answers a tenant with 200 wherever a reference leads, with all that is the tenant', async () => {
    const { visited, failed } = await walk('acme-admin');
    expect(failed).toEqual([]);
    const kinds = new Set(visited.map(kindOf));
    for (const kind of ['vApp/vapp-:', 'vApp/vm-:', 'vAppTemplate/vappTemplate-:', 'vAppTemplate/vm-:', 'media/:', 'catalog/:', 'disk/:'])
      expect(kinds).toContain(`/api/${kind}`);
    for (const kind of ['catalogItem/:', 'vdc/:', 'vdc/:/vmAffinityRules/', 'vmAffinityRule/:', 'vdcStorageProfile/:', 'network/:'])
      expect(kinds).toContain(`/api/${kind}`);
  });
});
