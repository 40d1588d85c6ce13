import { createSnapshot, removeAllSnapshots, revertToCurrentSnapshot } from '../operations/snapshots.js';
import { type Route, route } from '../router.js';

/** Snapshots of a vApp (all its VMs) and of one VM. */
export const snapshotRoutes: readonly Route[] = (['vapp', 'vm'] as const).flatMap((target) => {
  const action = `vApp/${target}-:id/action`;
  return [
    route('POST', `${action}/createSnapshot`, (exchange) => createSnapshot(exchange, target)),
    route('POST', `${action}/removeAllSnapshots`, (exchange) => removeAllSnapshots(exchange, target)),
    route('POST', `${action}/revertToCurrentSnapshot`, (exchange) => revertToCurrentSnapshot(exchange, target)),
  ];
});
