import { z } from 'zod';
import { DISK_FORMATS } from './formats.js';

export const diskExportQuerySchema = z
  .object({
    format: z
      .enum(DISK_FORMATS)
      .default('raw')
      .describe('raw; vmdk: monolithicSparse; vmdk-stream-optimized: compressed, in one go, no ranges; qcow2: version 3'),
  })
  .strict();
export type DiskExportQuery = z.infer<typeof diskExportQuerySchema>;

export const POINT_FORMATS = ['ova', 'raw'] as const;

export const pointExportQuerySchema = z
  .object({
    format: z
      .enum(POINT_FORMATS)
      .optional()
      .describe(
        'ova: vApp, standalone VM or vApp template with OVF descriptor, manifest and disks; raw: a medium, as it was uploaded. Without it, the one that fits',
      ),
  })
  .strict();
export type PointExportQuery = z.infer<typeof pointExportQuerySchema>;
