import type { Migration } from './migration.js';

/** Templates and media beside vApps, what stands around them, and how far an inventory is up to date. */
export const inventory: Migration = {
  name: '0005-inventory',
  sql: `
    ALTER TABLE vapps
      ADD COLUMN kind text NOT NULL DEFAULT 'vapp'
        CONSTRAINT vapps_kind_check CHECK (kind IN ('vapp', 'standalone-vm', 'vapp-template', 'media')),
      ADD COLUMN vcd_catalog_id   text NOT NULL DEFAULT '',
      ADD COLUMN vcd_catalog_name text NOT NULL DEFAULT '';
    CREATE INDEX vapps_present_idx ON vapps (cloud_id, kind) WHERE present;
    CREATE INDEX vms_present_idx ON vms (cloud_id) WHERE present;

    ALTER TABLE restore_points
      ADD COLUMN source_kind text NOT NULL DEFAULT 'vapp'
        CONSTRAINT restore_points_source_kind_check CHECK (source_kind IN ('vapp', 'standalone-vm', 'vapp-template', 'media'));

    CREATE TABLE named_disks (
      cloud_id              text        NOT NULL,
      id                    text        NOT NULL,
      name                  text        NOT NULL,
      href                  text        NOT NULL,
      organization_id       text        NOT NULL,
      vdc_id                text        NOT NULL,
      owner_name            text        NOT NULL,
      status                text        NOT NULL,
      size_mib              bigint      NOT NULL,
      storage_profile_name  text        NOT NULL,
      bus_type              text        NOT NULL,
      bus_sub_type          text        NOT NULL,
      attached_vm_count     integer     NOT NULL,
      present               boolean     NOT NULL DEFAULT true,
      last_seen_at          timestamptz NOT NULL,
      CONSTRAINT named_disks_pkey PRIMARY KEY (cloud_id, id)
    );
    CREATE INDEX named_disks_name_idx ON named_disks (name, id);

    CREATE TABLE cloud_resources (
      cloud_id         text        NOT NULL,
      kind             text        NOT NULL,
      id               text        NOT NULL,
      name             text        NOT NULL,
      href             text        NOT NULL,
      organization_id  text        NOT NULL,
      vdc_id           text        NOT NULL,
      details          jsonb       NOT NULL,
      present          boolean     NOT NULL DEFAULT true,
      last_seen_at     timestamptz NOT NULL,
      CONSTRAINT cloud_resources_pkey PRIMARY KEY (cloud_id, kind, id)
    );
    CREATE INDEX cloud_resources_name_idx ON cloud_resources (name, id);

    CREATE TABLE inventory_states (
      cloud_id  text        CONSTRAINT inventory_states_pkey PRIMARY KEY,
      full_at   timestamptz NOT NULL,
      vcd_time  timestamptz NOT NULL
    );
    COMMENT ON COLUMN inventory_states.full_at IS 'When all of the cloud was last read, by our clock';
    COMMENT ON COLUMN inventory_states.vcd_time IS 'Up to when the inventory is complete, by the clock of VCD';
  `,
};
