import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RestorePlanView } from '../../src/restore/plan-types.js';
import { keyIdOf, keyProviders } from '../simulator/model/encryption.js';
import { type VimObject, vim } from '../simulator/model/vim.js';
import { addition, reconfigureVm } from '../simulator/model/virtual-machines.js';
import { assertNothingLeft } from './nothing-left.js';
import { smallSeed } from './small-seed.js';
import { World } from './world.js';

const PROVIDERS = [{ id: 'kms-1', isDefault: true, keyIds: ['home-key'] }];
const POLICY = { id: 'policy-encryption', name: 'VM Encryption Policy', encrypts: true };

/** Guide, "Encrypted VM Backup and Restore", "Backup and Restore With vTPM". */
describe('an encrypted VM with a TPM', () => {
  let world: World;
  let point: RestorePointRow;
  let bundle: unknown;

  const inventory = () => world.simulator.vsphere.inventory;
  const vmState = () => {
    const found = inventory().state.vms.find((vm) => String(vm.config.name).startsWith('sandbox'));
    if (found === undefined) throw new Error('There is no VM of the sandbox');
    return found;
  };
  const config = () => vmState().config;
  const deviceTypes = () => ((config().hardware as VimObject).device as VimObject[]).map((device) => device.$type);
  const bundleOf = () => (config().extraConfig as VimObject[]).find((option) => option.key === 'encryption.bundle')?.value;

  beforeAll(async () => {
    const seed = structuredClone(smallSeed);
    seed.vapps = seed.vapps.filter((vapp) => vapp.name === 'sandbox');
    world = await World.start({ seed });
    await world.register();
    const { vsphere } = world.simulator;
    vsphere.setKeyProviders(PROVIDERS);
    inventory().state.storagePolicies = [...(inventory().state.storagePolicies ?? []), POLICY];
    const vm = vmState();
    if (vm.powerState !== 'poweredOff') await vsphere.powerOff(vm.moRef);
    const [provider] = keyProviders(inventory());
    if (provider === undefined) throw new Error('There is no key provider');
    await reconfigureVm(
      inventory(),
      vm,
      vim('VirtualMachineConfigSpec', {
        firmware: 'efi',
        crypto: vim('CryptoSpecEncrypt', { cryptoKeyId: keyIdOf(provider, 'home-key') }),
        vmProfile: [vim('VirtualMachineDefinedProfileSpec', { profileId: POLICY.id })],
        deviceChange: [addition(vim('VirtualTPM', { key: -5, controllerKey: 100 }))],
      }),
    );
    bundle = bundleOf();
    expect(bundle).toBeTypeOf('string');
    point = await world.backUp('sandbox');
    await world.deleteVapp('sandbox');
  }, 240_000);
  afterAll(() => world?.close());

  const request = (choices: Record<string, unknown> = {}) => ({ restorePointId: point.id, mode: 'missing-vapp', choices });
  const itemsOf = async (choices?: Record<string, unknown>) => {
    const plan = await world.api.post<RestorePlanView>('/api/v1/restores/plan', request(choices));
    return { canStart: plan.canStart, item: plan.items.find(({ attribute }) => attribute.endsWith('.encryption')) };
  };

  it('is not begun while its key provider is missing, and the plan says why', { timeout: 120_000 }, async () => {
    world.simulator.vsphere.setKeyProviders([]);
    const { canStart, item } = await itemsOf();
    expect(canStart).toBe(false);
    expect(item).toMatchObject({ conformity: 'not-permitted', captured: 'kms-1', needsChoice: true });
    const before = inventory().state.vms.length;
    const run = await world.restore(request());
    expect(run.error).toMatchObject({ code: 'CHOICE_NEEDED', message: expect.stringContaining('no key provider "kms-1"') });
    expect(inventory().state.vms).toHaveLength(before);
    await assertNothingLeft(world);
  });

  it('comes back with its keys, its bundle, its policy and its TPM where the provider is there', { timeout: 120_000 }, async () => {
    world.simulator.vsphere.setKeyProviders(PROVIDERS);
    expect(await itemsOf()).toMatchObject({ canStart: true, item: { conformity: 'fits', planned: 'kms-1' } });
    const run = await world.restore(request());
    expect(run.error).toBeNull();
    expect(config().keyId).toMatchObject({ keyId: 'home-key', providerId: { id: 'kms-1' } });
    expect(bundleOf()).toBe(bundle);
    expect(config().firmware).toBe('efi');
    expect(deviceTypes()).toContain('VirtualTPM');
    expect(vmState().policies?.home).toBe(POLICY.id);
    await assertNothingLeft(world);
  });

  it('comes back without encryption on request, and says what is lost', { timeout: 120_000 }, async () => {
    await world.deleteVapp('sandbox');
    world.simulator.vsphere.setKeyProviders([]);
    const run = await world.restore(request({ encryption: 'none' }));
    expect(run.error).toBeNull();
    expect(config().keyId).toBeUndefined();
    expect(bundleOf()).toBeUndefined();
    expect(deviceTypes()).not.toContain('VirtualTPM');
    expect(run.warnings.join('\n')).toContain('VirtualTPM');
    await assertNothingLeft(world);
  });
});
