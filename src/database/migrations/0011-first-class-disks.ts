import type { Migration } from './migration.js';

/** First class disks: kept beside vApps, because restore points are made of them, with what only vSphere knows of them apart. */
export const firstClassDisks: Migration = {
  name: '0011-first-class-disks',
  sql: `
    ALTER TABLE vapps
      DROP CONSTRAINT vapps_kind_check,
      ADD CONSTRAINT vapps_kind_check CHECK (kind IN ('vapp', 'standalone-vm', 'vapp-template', 'media', 'first-class-disk'));
    ALTER TABLE restore_points
      DROP CONSTRAINT restore_points_source_kind_check,
      ADD CONSTRAINT restore_points_source_kind_check
        CHECK (source_kind IN ('vapp', 'standalone-vm', 'vapp-template', 'media', 'first-class-disk'));

    CREATE TABLE first_class_disks (
      vapp_id                text    CONSTRAINT first_class_disks_pkey PRIMARY KEY
                                     CONSTRAINT first_class_disks_vapp_fkey REFERENCES vapps (id) ON DELETE CASCADE,
      vcenter_instance_uuid  text    NOT NULL,
      disk_id                text    NOT NULL,
      datastore_mo_ref       text    NOT NULL,
      datastore_name         text    NOT NULL,
      path                   text    NOT NULL,
      provisioning           text    NOT NULL,
      change_tracking        boolean NOT NULL,
      named_disk_id          text    NOT NULL,
      attached_to            jsonb   NOT NULL
    );
    CREATE INDEX first_class_disks_place_idx ON first_class_disks (vcenter_instance_uuid, datastore_mo_ref);
    COMMENT ON COLUMN first_class_disks.vapp_id IS 'Our id of the disk, as of everything else that restore points are made of';
  `,
};
