import type { Migration } from './migration.js';

/**
 * No foreign key points to clouds: what can be restored outlives the registration of the cloud it
 * came from.
 */
export const catalog: Migration = {
  name: '0002-catalog',
  sql: `
    CREATE TABLE organizations (
      cloud_id      text        NOT NULL,
      id            text        NOT NULL,
      name          text        NOT NULL,
      display_name  text        NOT NULL,
      href          text        NOT NULL,
      enabled       boolean     NOT NULL,
      present       boolean     NOT NULL DEFAULT true,
      last_seen_at  timestamptz NOT NULL,
      CONSTRAINT organizations_pkey PRIMARY KEY (cloud_id, id)
    );

    CREATE TABLE vdcs (
      cloud_id         text        NOT NULL,
      id               text        NOT NULL,
      name             text        NOT NULL,
      href             text        NOT NULL,
      organization_id  text        NOT NULL,
      enabled          boolean     NOT NULL,
      present          boolean     NOT NULL DEFAULT true,
      last_seen_at     timestamptz NOT NULL,
      CONSTRAINT vdcs_pkey PRIMARY KEY (cloud_id, id)
    );

    CREATE TABLE vapps (
      id                   text        CONSTRAINT vapps_pkey PRIMARY KEY,
      cloud_id             text        NOT NULL,
      vcloud_id            text        NOT NULL,
      name                 text        NOT NULL,
      href                 text        NOT NULL,
      organization_id      text        NOT NULL,
      vdc_id               text        NOT NULL,
      owner_name           text        NOT NULL,
      status               text        NOT NULL,
      vm_count             integer     NOT NULL,
      storage_kib          bigint      NOT NULL,
      in_maintenance_mode  boolean     NOT NULL,
      present              boolean     NOT NULL DEFAULT true,
      last_seen_at         timestamptz NOT NULL
    );
    CREATE INDEX vapps_name_idx ON vapps (name, id);
    CREATE INDEX vapps_cloud_idx ON vapps (cloud_id, vcloud_id);

    CREATE TABLE vapp_aliases (
      cloud_id   text NOT NULL,
      vcloud_id  text NOT NULL,
      vapp_id    text NOT NULL CONSTRAINT vapp_aliases_vapp_fkey REFERENCES vapps (id) ON DELETE CASCADE,
      CONSTRAINT vapp_aliases_pkey PRIMARY KEY (cloud_id, vcloud_id)
    );
    CREATE INDEX vapp_aliases_vapp_idx ON vapp_aliases (vapp_id);

    CREATE TABLE vms (
      id              text        CONSTRAINT vms_pkey PRIMARY KEY,
      cloud_id        text        NOT NULL,
      vcloud_id       text        NOT NULL,
      vapp_id         text        CONSTRAINT vms_vapp_fkey REFERENCES vapps (id) ON DELETE SET NULL,
      name            text        NOT NULL,
      href            text        NOT NULL,
      status          text        NOT NULL,
      mo_ref          text        NOT NULL,
      vim_server_id   text        NOT NULL,
      host_name       text        NOT NULL,
      datastore_name  text        NOT NULL,
      present         boolean     NOT NULL DEFAULT true,
      last_seen_at    timestamptz NOT NULL
    );
    CREATE INDEX vms_vapp_idx ON vms (vapp_id);
    CREATE INDEX vms_cloud_idx ON vms (cloud_id, vcloud_id);

    CREATE TABLE vm_aliases (
      kind   text NOT NULL CONSTRAINT vm_aliases_kind_check CHECK (kind IN ('vcloud', 'instance-uuid', 'mo-ref')),
      scope  text NOT NULL,
      value  text NOT NULL,
      vm_id  text NOT NULL CONSTRAINT vm_aliases_vm_fkey REFERENCES vms (id) ON DELETE CASCADE,
      CONSTRAINT vm_aliases_pkey PRIMARY KEY (kind, scope, value)
    );
    CREATE INDEX vm_aliases_vm_idx ON vm_aliases (vm_id);
    COMMENT ON COLUMN vm_aliases.scope IS 'Cloud id for vcloud and instance-uuid, vCenter instance UUID for mo-ref';

    CREATE TABLE disks (
      id          text    CONSTRAINT disks_pkey PRIMARY KEY,
      vm_id       text    NOT NULL CONSTRAINT disks_vm_fkey REFERENCES vms (id) ON DELETE CASCADE,
      device_key  integer NOT NULL,
      uuid        text    NOT NULL,
      label       text    NOT NULL,
      CONSTRAINT disks_identity_key UNIQUE (vm_id, device_key, uuid)
    );

    CREATE TABLE restore_points (
      id               text        CONSTRAINT restore_points_pkey PRIMARY KEY,
      organization_id  text        NOT NULL,
      cloud_id         text        NOT NULL,
      vapp_id          text        NOT NULL CONSTRAINT restore_points_vapp_fkey REFERENCES vapps (id),
      vapp_name        text        NOT NULL,
      created_at       timestamptz NOT NULL,
      kind             text        NOT NULL CONSTRAINT restore_points_kind_check CHECK (kind IN ('full', 'incremental')),
      run_id           text        NOT NULL,
      vm_count         integer     NOT NULL,
      capacity_bytes   bigint      NOT NULL,
      read_bytes       bigint      NOT NULL,
      new_bytes        bigint      NOT NULL,
      stored_bytes     bigint      NOT NULL,
      warnings         jsonb       NOT NULL
    );
    CREATE INDEX restore_points_created_idx ON restore_points (created_at DESC, id DESC);
    CREATE INDEX restore_points_vapp_idx ON restore_points (vapp_id, created_at DESC, id DESC);

    CREATE TABLE restore_point_vms (
      restore_point_id  text    NOT NULL CONSTRAINT restore_point_vms_point_fkey REFERENCES restore_points (id) ON DELETE CASCADE,
      vm_id             text    NOT NULL CONSTRAINT restore_point_vms_vm_fkey REFERENCES vms (id),
      position          integer NOT NULL,
      name              text    NOT NULL,
      CONSTRAINT restore_point_vms_pkey PRIMARY KEY (restore_point_id, vm_id)
    );
    CREATE INDEX restore_point_vms_vm_idx ON restore_point_vms (vm_id);

    CREATE TABLE restore_point_disks (
      restore_point_id  text    NOT NULL,
      vm_id             text    NOT NULL,
      disk_id           text    NOT NULL CONSTRAINT restore_point_disks_disk_fkey REFERENCES disks (id),
      position          integer NOT NULL,
      label             text    NOT NULL,
      device_key        integer NOT NULL,
      uuid              text,
      capacity_bytes    bigint  NOT NULL,
      allocated_bytes   bigint  NOT NULL,
      changed_bytes     bigint  NOT NULL,
      read_bytes        bigint  NOT NULL,
      new_bytes         bigint  NOT NULL,
      stored_bytes      bigint  NOT NULL,
      duration_ms       bigint  NOT NULL,
      kind              text    NOT NULL CONSTRAINT restore_point_disks_kind_check CHECK (kind IN ('full', 'incremental')),
      full_reason       text,
      transport_mode    text    NOT NULL,
      change_id         text,
      index_id          text    NOT NULL,
      chunk_bytes       integer NOT NULL,
      CONSTRAINT restore_point_disks_pkey PRIMARY KEY (restore_point_id, disk_id),
      CONSTRAINT restore_point_disks_vm_fkey FOREIGN KEY (restore_point_id, vm_id)
        REFERENCES restore_point_vms (restore_point_id, vm_id) ON DELETE CASCADE
    );
    CREATE INDEX restore_point_disks_disk_idx ON restore_point_disks (disk_id);
  `,
};
