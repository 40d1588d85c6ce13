import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everythingSeed } from '../seeds/everything.js';
import { smallSeed } from '../seeds/small-seed.js';
import { startTestCell, type TestCell } from './testing.js';

/** Follows every link of the API from the session on, as the provider and as a tenant: nothing may dangle. */
describe('every resource', () => {
  let test: TestCell;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(everythingSeed()));
  });
  afterAll(() => test.close());

  for (const user of ['administrator', 'acme-admin']) {
    it(`answers ${user} with 200 wherever a reference leads`, async () => {
      const seen = new Set<string>();
      const queue = ['/api/session', '/api/org', '/api/query', ...(user === 'administrator' ? ['/api/admin'] : [])];
      const failed: string[] = [];
      while (queue.length > 0 && seen.size < 900) {
        const path = queue.shift() as string;
        if (seen.has(path)) continue;
        seen.add(path);
        const result = await test.call(user, 'GET', path);
        if (result.status !== 200) failed.push(`${result.status} ${path}`);
        keep(user, path, result.text);
        for (const match of result.text.matchAll(/<[^>]*\shref="([^"]+)"[^>]*>/g)) {
          const [tag, href = ''] = match;
          const rel = / rel="([^"]+)"/.exec(tag)?.[1];
          if (rel !== undefined && !['down', 'up', 'alternate', 'nextPage'].includes(rel)) continue;
          const target = href.replaceAll('&amp;', '&').slice(test.cell.url.length);
          if (!target.startsWith('/api/') || /\/(hwv|role|host|event|pvdcStorageProfile|action)(\/|$)|admin\/providervdc/.test(target))
            continue;
          if (user !== 'administrator' && /^\/api\/admin\/(?!org\/|user\/)/.test(target)) continue;
          if (/\+json"/.test(tag)) continue;
          queue.push(target);
        }
      }
      expect(failed).toEqual([]);
      expect(seen.size).toBeGreaterThan(20);
    });
  }
});

/** For the schema check while building: VCD_XML_DIR=… keeps every answer in a file. */
function keep(user: string, path: string, text: string): void {
  const directory = process.env.VCD_XML_DIR;
  if (directory === undefined) return;
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/${user}_${path.replace(/[^\w.-]+/g, '_').slice(0, 150)}.xml`, text);
}
