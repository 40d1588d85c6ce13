import { expect } from 'vitest';
import type { World } from './world.js';

interface CloudState {
  vapps: { name: string; inMaintenanceMode: boolean; vms: { moRef: string }[] }[];
  vappTemplates: { vms: { moRef: string }[] }[];
  media: { name: string; downloadEnabled: boolean }[];
  preparedForAccess: { moRef: string; identity: string }[];
  vddkViolations: string[];
  vcenterVms: { moRef: string; name: string; snapshots: { name: string }[] }[];
}

/** The sentence every fault test ends with: the cloud is as if we had never touched it. */
export async function assertNothingLeft(world: World): Promise<void> {
  const state = await world.control.state<CloudState>();
  expect(state.vapps.filter((vapp) => vapp.inMaintenanceMode).map((vapp) => vapp.name)).toEqual([]);
  expect(state.vcenterVms.flatMap((vm) => vm.snapshots.map((snapshot) => `${vm.name}: ${snapshot.name}`))).toEqual([]);
  expect(state.media.filter((medium) => medium.downloadEnabled).map((medium) => medium.name)).toEqual([]);
  const owned = new Set([...state.vapps, ...state.vappTemplates].flatMap(({ vms }) => vms.map((vm) => vm.moRef)));
  expect(state.vcenterVms.filter((vm) => !owned.has(vm.moRef)).map((vm) => vm.name)).toEqual([]);
  expect(state.preparedForAccess).toEqual([]);
  expect(state.vddkViolations).toEqual([]);
  expect(await world.openObligations()).toEqual([]);
}
