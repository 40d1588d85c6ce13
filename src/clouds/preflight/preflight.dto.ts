import { z } from 'zod';
import { CHECKS, OUTCOMES } from './report.js';

const time = z.iso.datetime();

export const preflightQuerySchema = z.strictObject({
  hostPorts: z
    .enum(['true', 'false'])
    .default('true')
    .meta({ description: 'Whether TCP 902 of each ESXi host is tried from this process' }),
});
export type PreflightQuery = z.output<typeof preflightQuerySchema>;

const missingPrivilege = z.object({
  id: z.string().meta({ description: 'As the vSphere API names it' }),
  label: z.string().meta({ description: 'As the vSphere Client shows it' }),
  purposes: z.array(z.enum(['backup', 'restore', 'hotadd', 'encryption', 'first-class-disks', 'storage-policies'])),
  use: z.string().meta({ description: 'What this service needs it for' }),
  on: z.array(z.string()).meta({ description: 'Where it is missing: the vCenter itself, datacenters' }),
});

export const preflightSchema = z
  .object({
    cloudId: z.string(),
    cloudName: z.string(),
    checkedAt: time,
    durationMs: z.int().min(0),
    ready: z.boolean().meta({ description: 'No check failed' }),
    checks: z.array(
      z.object({
        server: z.string().meta({ description: 'Address of the server; "worker" for the process that answers' }),
        check: z.enum(CHECKS),
        outcome: z.enum(OUTCOMES).meta({
          description: 'failed: backups or restores will fail there. warning: some may. skipped: it could not be looked at',
        }),
        message: z.string(),
        missingPrivileges: z.array(missingPrivilege).optional(),
        items: z
          .array(z.object({ name: z.string(), problem: z.string() }))
          .optional()
          .meta({ description: 'What the message speaks of; at most 100' }),
        clockDifferenceMs: z.int().optional().meta({ description: 'Its clock less ours' }),
        certificateExpiresAt: time.optional(),
      }),
    ),
  })
  .meta({ id: 'Preflight' });
