import { expect, it } from 'vitest';
import { MIB } from '../common/index.js';
import { accountsOf } from './open-disk-permits.js';

const CEILINGS = { nfcBytesPerEsxiHost: 48 * MIB, disksPerEsxiHost: 50, connectionsPerVcenter: 52 };

it('an open disk counts against its host, twice, and its vCenter, however the UUID of that is written', () => {
  const accounts = accountsOf({ vcenterInstanceUuid: 'VC-1', esxiHostMoRef: 'host-1', nfcBytes: 4 * MIB }, CEILINGS);
  expect(accounts).toEqual([
    { key: 'nfc vc-1/host-1', amount: 4 * MIB, limit: 48 * MIB },
    { key: 'disks vc-1/host-1', amount: 1, limit: 50 },
    { key: 'connections vc-1', amount: 1, limit: 52 },
  ]);
  const unknown = accountsOf({ vcenterInstanceUuid: 'vc-1', esxiHostMoRef: undefined, nfcBytes: 64 * MIB }, CEILINGS);
  // Above the limit it takes all there is, and can be had.
  expect(unknown[0]).toEqual({ key: 'nfc vc-1/', amount: 48 * MIB, limit: 48 * MIB });
});
