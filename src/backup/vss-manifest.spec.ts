import { describe, expect, it } from 'vitest';
import { achievedByVss, zipNames } from './vss-manifest.js';

/** One stored entry each, as Windows' ZIP writes them: with extra fields, and a comment at the end. */
function zip(names: readonly string[], comment = ''): Buffer {
  const entries = names.map((name) => {
    const head = Buffer.alloc(46);
    head.writeUInt32LE(0x02014b50, 0);
    head.writeUInt16LE(Buffer.byteLength(name), 28);
    head.writeUInt16LE(4, 30);
    return Buffer.concat([head, Buffer.from(name), Buffer.alloc(4)]);
  });
  const bodies = Buffer.from('bodies of the documents');
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(names.length, 10);
  end.writeUInt32LE(bodies.length, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([bodies, ...entries, end, Buffer.from(comment)]);
}

describe('achievedByVss', () => {
  it('knows applications by their writers', () => {
    expect(achievedByVss(zip(['backup.xml', 'writer0.xml', 'writer1.xml'], 'a comment'))).toBe('application');
    expect(achievedByVss(zip(['backup.xml']))).toBe('file-system');
    expect(achievedByVss(zip(['manifests/', 'manifests/backup.xml']))).toBe('file-system');
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no ZIP', Buffer.from('<html>not found</html>'.repeat(9))],
    ['an empty ZIP', zip([])],
    ['a ZIP without its beginning', zip(['backup.xml', 'writer0.xml']).subarray(40)],
  ])('concludes nothing from %s', (_, bytes) => {
    expect(achievedByVss(bytes)).toBeUndefined();
  });

  it('reads names', () => {
    expect(zipNames(zip(['a.xml', 'Schreibgerät.xml']))).toEqual(['a.xml', 'Schreibgerät.xml']);
  });
});
