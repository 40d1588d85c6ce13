import { describe, expect, it } from 'vitest';
import { vixError } from './vddk-error.js';

const failure = (vixCode: number | string) => ({
  function: 'VixDiskLib_Open',
  vixError: String(vixCode),
  text: 'A text.',
  lines: ['last words'],
});

describe('vixError', () => {
  it.each([
    [1, 'VIX_FAIL', true],
    [3, 'VIX_INVALID_ARGUMENT', false],
    [13, 'VIX_ACCESS_DENIED', false],
    [35, 'VIX_AUTHENTICATION_FAILED', true],
    [3047, 'VIX_SESSION_EXPIRED', true],
    [14005, 'VIX_FILE_ERROR', false],
    [14006, 'VIX_NETWORK', true],
    [14011, 'VIX_NETWORK', true],
    [14012, 'VIX_ERROR', false],
    [14009, 'VIX_CONNECTION_REFUSED', true],
    [14014, 'VIX_HOST_ENTERS_MAINTENANCE', true],
    [14015, 'VIX_HOST_IN_MAINTENANCE', true],
    [16030, 'VIX_CHAIN_BROKEN', false],
    [17005, 'VIX_ENCRYPTION', false],
    [16007, 'VIX_OUT_OF_RANGE', false],
    [16063, 'VIX_DISK', false],
    [30028, 'VIX_NETWORK', true],
    [30001, 'VIX_ERROR', false],
  ])('puts %i into class %s, retryable %s', (code, name, retryable) => {
    expect(vixError('open x', 'x', failure(code))).toMatchObject({ code: name, retryable, vixCode: code });
  });

  it.each([
    [['Opening', 'SSLVerifyGetPeerCert: thumbprint mismatch'], 'another thumbprint'],
    [['NFC error 5: Failed to allocate the requested 33554456 bytes'], 'out of NFC memory'],
    [['Failed to lock the file'], 'locked'],
    [['Host address lookup for server esx-1 failed'], 'cannot be resolved'],
  ])('explains an unknown error by the log line %j', (lines, words) => {
    expect(vixError('open x', 'x', { ...failure(1), lines }).message).toContain(words);
  });

  it('says how a failure is met', () => {
    expect(vixError('open x', 'x', failure(14014)).retry).toBe('soon');
    expect(vixError('open x', 'x', failure(14015)).retry).toBe('later');
    expect(vixError('open x', 'x', failure(3047)).retry).toBe('login');
    expect(vixError('open x', 'x', failure(8)).retry).toBe('final');
  });

  it('keeps the class of an error whose upper bits are set, and the whole word in the details', () => {
    const word = (0xabcdef000000n * 0x10000n + 14011n).toString();
    const error = vixError('read [ds] a.vmdk', '[ds] a.vmdk', { ...failure(word), offsetBytes: '512' });
    expect(error).toMatchObject({ vixCode: 14011, details: { vixError: word, logLines: ['last words'] } });
    expect(error.message).toMatch(/^VDDK could not read \[ds\] a\.vmdk at byte 512: error 14011 \(A text\)\. [A-Z]/);
  });
});
