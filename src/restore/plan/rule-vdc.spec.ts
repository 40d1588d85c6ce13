import { describe, expect, it } from 'vitest';
import { ruleVdc } from './rule-vdc.js';

const MAIN = '11111111-1111-4111-8111-111111111111';
const TEST = '22222222-2222-4222-8222-222222222222';
const vdc = (uuid: string, name: string) => ({ href: `https://vcd/api/vdc/${uuid}`, id: `urn:vcloud:vdc:${uuid}`, name });

describe('the VDC that is built in', () => {
  it.each([
    ['the captured one', vdc(MAIN, 'main'), 'fits', /^$/],
    ['renamed since', vdc(MAIN, 'prime'), 'changed', /"main" is called "prime" today/],
    ['another', vdc(TEST, 'test'), 'changed', /into VDC "test" instead of "main"/],
  ])('%s', (_, today, conformity, explanation) => {
    const item = ruleVdc(vdc(MAIN, 'main'), today, [today, vdc(TEST, 'test')]);
    expect(item).toMatchObject({ attribute: 'vdc', conformity, captured: 'main', planned: today.name, needsChoice: false });
    expect(item.explanation).toMatch(explanation);
    expect(item.choice).toMatchObject({ field: 'vdcId', chosen: today.id });
    expect(item.choice?.options).toContainEqual({ value: vdc(TEST, 'test').id, label: 'test' });
  });
});
