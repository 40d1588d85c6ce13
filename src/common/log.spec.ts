import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLogger, withLogFields, withoutLogFields } from './log.js';

function writtenLog() {
  const lines: string[] = [];
  const log = createLogger('debug', { write: (line) => void lines.push(line) });
  const fields = () => lines.splice(0).map((line) => JSON.parse(line));
  return { lines, log, fields };
}

describe('the fields of a piece of work', () => {
  it('are in the lines of whoever it asks, and of nobody who works beside it', async () => {
    const { log, fields } = writtenLog();
    const other = log.child({ room: 'repository' });
    const work = (runId: string) =>
      withLogFields({ runId }, async () => {
        await nextTurn();
        other.info({ pack: runId }, 'read');
        await nextTurn();
        log.warn('done');
      });
    log.info('beside');
    await Promise.all([work('a'), work('b')]);
    expect(fields()).toMatchObject([
      { msg: 'beside' },
      { msg: 'read', room: 'repository', pack: 'a', runId: 'a' },
      { msg: 'read', pack: 'b', runId: 'b' },
      { msg: 'done', runId: 'a' },
      { msg: 'done', runId: 'b' },
    ]);
    log.info({ pack: 'c' }, 'after');
    expect(Object.keys(fields()[0])).toEqual(['level', 'time', 'pack', 'msg']);
  });

  it('are once in a line that names the same, and what the line says holds', () => {
    const { lines, log } = writtenLog();
    withLogFields({ runId: 'a' }, () => log.info({ runId: 'b', secret: 'x' }, 'said'));
    expect(lines[0]?.match(/"runId"/g)).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ runId: 'b', secret: '[removed]' });
  });

  it('are not in what outlives the work', async () => {
    const { log, fields } = writtenLog();
    let later: Promise<void> | undefined;
    withLogFields({ runId: 'a' }, () => {
      later = withoutLogFields(async () => {
        await nextTurn();
        log.info('kept alive');
      });
    });
    await later;
    expect(fields()[0]).not.toHaveProperty('runId');
  });
});
