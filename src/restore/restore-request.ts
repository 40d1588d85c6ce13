import { z } from 'zod';
import { PROVISIONINGS } from '../vsphere/index.js';

export const RESTORE_MODES = [
  'missing-vapp',
  'overwrite',
  'recreate',
  'copy',
  'vms',
  'disk',
  'template',
  'medium',
  'first-class-disk',
] as const;

const choicesSchema = z
  .object({
    networks: z
      .record(z.string(), z.string())
      .optional()
      .describe('vApp network -> name, id or href of the organization network it is to have as parent; "isolated" for none'),
    storageProfiles: z.record(z.string(), z.string()).optional().describe('Captured storage profile -> name of the one to use'),
    sizingPolicies: z.record(z.string(), z.string()).optional().describe('Captured sizing policy -> name of the one to use; "none"'),
    placementPolicies: z.record(z.string(), z.string()).optional().describe('Captured placement policy -> name of the one to use; "none"'),
    owner: z.string().optional().describe('Login name of a user of the organization that is to own the vApp'),
    lease: z
      .enum(['limit', 'captured'])
      .optional()
      .describe('A captured lease above what the organization allows: limit it (default), or ask for it all the same'),
    macAddresses: z.enum(['keep', 'new']).optional().describe('keep, except for a copy: two VMs of one MAC address disturb each other'),
    ipAddresses: z
      .enum(['keep', 'pool'])
      .optional()
      .describe('Manual addresses in use today: keep (default where free), or take others from the pool'),
    existingVms: z
      .enum(['overwrite', 'replace', 'rename'])
      .optional()
      .describe(
        'A VM that comes back into a vApp that still has it: write over it, put a new one in its place, or add it under another name',
      ),
    vmNames: z.record(z.string(), z.string()).optional().describe('Captured VM name -> name of the restored VM'),
    addedVms: z.enum(['keep', 'remove']).optional().describe('VMs the vApp has gained since the restore point: keep (default) or remove'),
    missingVms: z
      .enum(['restore', 'leave'])
      .optional()
      .describe('VMs the vApp has lost since the restore point: restore (default) or leave'),
    namedDisks: z
      .enum(['new', 'existing'])
      .optional()
      .describe(
        'A named disk that is still there and attached to nothing: make a new one of its name beside it (default), or attach it and write over it',
      ),
    encryption: z
      .enum(['new-keys', 'none'])
      .optional()
      .describe(
        'A VM that was encrypted, where its key provider is gone: encrypt it with new keys by its storage policies, or not at all; its NVRAM and TPM are lost either way',
      ),
    standalone: z
      .enum(['vm', 'vapp'])
      .optional()
      .describe('A standalone VM: bring it back as one (default), or as the VM of an ordinary vApp'),
    existingItem: z
      .enum(['replace'])
      .optional()
      .describe('A catalog item of the same name and kind: delete it once the restored one stands, and only on request'),
    existingDisk: z
      .enum(['beside', 'overwrite'])
      .optional()
      .describe('A first class disk that is still there: make a new one beside it (default), or write over it, which no VM may have then'),
    datastore: z.string().optional().describe('Datastore (name or MoRef) of a new first class disk; the captured one by default'),
    provisioning: z.enum(PROVISIONINGS).optional().describe('Of a new first class disk; the captured one by default'),
    storagePolicy: z
      .string()
      .optional()
      .describe('Name of the vCenter storage policy of a new first class disk; the captured one by default; "none"'),
    snapshots: z.enum(['remove']).optional().describe('Snapshots of a VM that is overwritten: they must go, and only on request'),
  })
  .strict();

/** A restore as a person asks for it; frozen into the run's payload. */
export const restoreRequestSchema = z
  .object({
    restorePointId: z.uuid(),
    site: z
      .enum(['first', 'second'])
      .optional()
      .describe('Reads from this site of the repository alone; without it from the first, and from the second what that does not give'),
    mode: z
      .enum(RESTORE_MODES)
      .describe(
        'missing-vapp: the vApp is gone, build it again under its name. overwrite: write over the vApp in place. ' +
          'recreate: build it anew and delete the old one once the new one stands. copy: build it beside under another name. ' +
          'vms: some VMs into an existing vApp. disk: one disk of one VM. template: a vApp template into a catalog. ' +
          'medium: a medium into a catalog. first-class-disk: a first class disk, on a datastore',
      ),
    name: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .describe('Name of the copy, template, medium or first class disk; otherwise its own name is used'),
    organizationId: z.string().optional().describe('URN of the organization to restore into; the captured one by default'),
    vdcId: z.string().optional().describe('URN of the VDC to build in; the captured one by default'),
    catalogId: z.string().optional().describe('URN of the VCD catalog that receives a template or medium; the captured one by default'),
    vappId: z.string().optional().describe('Id of the vApp that receives VMs; the one they were in by default'),
    vms: z.array(z.string()).min(1).optional().describe('Names or ids of the VMs to restore; all by default'),
    disk: z
      .object({
        vm: z.string(),
        disk: z.string(),
        asNamedDisk: z
          .string()
          .min(1)
          .max(128)
          .optional()
          .describe('Name of a new named disk that gets the content; nothing is written over'),
        attachTo: z
          .string()
          .optional()
          .describe('VM of the vApp (name or id) that gets the new named disk; the one the disk came from by default'),
      })
      .strict()
      .refine((disk) => disk.attachTo === undefined || disk.asNamedDisk !== undefined, {
        message: 'Only a new named disk is attached to a VM: give asNamedDisk, too',
        path: ['attachTo'],
      })
      .optional()
      .describe('VM (name or id) and disk (label or id) for mode disk'),
    choices: choicesSchema.default({}),
    powerOn: z.boolean().default(false).describe('Power it on, in its start order, when all is compared'),
    parallelVms: z.number().int().min(1).max(16).default(2),
    /** Kept for requests written before `choices`. */
    macAddresses: z.enum(['keep', 'new']).optional().describe('The same as choices.macAddresses'),
  })
  .strict()
  .refine((request) => request.mode !== 'copy' || request.name !== undefined, { message: 'A copy needs a name', path: ['name'] })
  .refine((request) => request.mode !== 'disk' || request.disk !== undefined, { message: 'Mode disk needs `disk`', path: ['disk'] })
  .meta({ id: 'RestoreRequest' });

export type RestoreRequest = z.infer<typeof restoreRequestSchema>;
/** `sourceOrganizationId`: whose restore point it is; `organizationId`, where given, is where it goes. */
export type RestorePayload = RestoreRequest & { sourceOrganizationId: string };
