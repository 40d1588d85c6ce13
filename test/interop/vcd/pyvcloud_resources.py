"""pyvcloud with what stands beside vApps: catalogs, templates, media, named disks."""

import os
import tempfile

from checks import equal, refused
from pyvcloud.vcd.client import MetadataValueType
from pyvcloud.vcd.exceptions import BadRequestException, EntityNotFoundException
from pyvcloud.vcd.org import Org
from pyvcloud.vcd.vapp import VApp
from pyvcloud.vcd.vm import VM

MIB = 1024 * 1024
CATALOG = "images"


def org(c):
    return Org(c.client, resource=c.client.get_org_by_name("acme"))


def resource_checks(c):
    c.run("catalogs of an organization", lambda: equal([catalog["name"] for catalog in org(c).list_catalogs()], [CATALOG]))
    c.run("items of a catalog", lambda: equal(
        sorted(item["name"] for item in org(c).list_catalog_items(CATALOG)), ["installer", "wiki-template"]))
    c.run("a template has its VMs, with their moRefs", lambda: template_vms(c))
    c.run("metadata of a catalog item", lambda: item_metadata(c))
    c.run("a medium is uploaded in pieces and comes back byte by byte", lambda: medium(c))
    c.run("a vApp is captured and instantiated", lambda: capture(c))
    c.run("a template can be written over", lambda: overwrite(c))
    c.run("a named disk is made, changed, attached, detached and deleted", lambda: disk(c))
    c.run("a VM is copied into another vApp and removed again", lambda: copy_vm(c))


def entity(c, name):
    return c.client.get_resource(org(c).get_catalog_item(CATALOG, name).Entity.get("href"))


def template_vms(c):
    template = entity(c, "wiki-template")
    equal([vm.get("name") for vm in template.Children.Vm], ["wiki"])
    equal(VM(c.client, resource=template.Children.Vm).get_moid().startswith("vm-"), True)


def item_metadata(c):
    c.done(org(c).set_metadata_on_catalog_item(CATALOG, "installer", "edition", "7", metadata_value_type=MetadataValueType.NUMBER))
    found = org(c).get_metadata_value_from_catalog_item(CATALOG, "installer", "edition")
    equal(found.TypedValue.Value.text, "7")
    c.done(org(c).remove_metadata_from_catalog_item(CATALOG, "installer", "edition"))


def medium(c):
    content = os.urandom(MIB + 4711)
    with tempfile.TemporaryDirectory() as folder:
        source, copy = os.path.join(folder, "disc.iso"), os.path.join(folder, "copy.iso")
        with open(source, "wb") as file:
            file.write(content)
        equal(org(c).upload_media(CATALOG, source, description="by pyvcloud", chunk_size=MIB // 2), len(content))
        for task in entity(c, "disc.iso").findall("{*}Tasks/{*}Task"):
            c.done(task)
        equal(org(c).download_catalog_item(CATALOG, "disc.iso", copy, chunk_size=100_000), len(content))
        with open(copy, "rb") as file:
            equal(file.read() == content, True)
    org(c).delete_catalog_item(CATALOG, "disc.iso")
    refused(lambda: org(c).get_catalog_item(CATALOG, "disc.iso"), EntityNotFoundException)


def capture(c):
    href = c.vapp("intranet").get_resource().get("href")
    c.done(org(c).capture_vapp(org(c).get_catalog(CATALOG), href, "captured", "by pyvcloud", customize_on_instantiate=True))
    equal(entity(c, "captured").CustomizationSection.CustomizeOnInstantiate.text, "true")
    made = c.vdc().instantiate_vapp("from-captured", CATALOG, "captured", deploy=False, power_on=False)
    c.done(made.Tasks.Task[0])
    equal([vm.get("name") for vm in c.vapp("from-captured").get_all_vms()], ["wiki"])
    c.done(c.vdc().delete_vapp("from-captured"))


def overwrite(c):
    href = c.vapp("intranet").get_resource().get("href")
    catalog = org(c).get_catalog(CATALOG)
    refused(lambda: org(c).capture_vapp(catalog, href, "captured", "twice"), BadRequestException, "already exists")
    c.done(org(c).capture_vapp(catalog, href, "captured", "anew", overwrite=True))
    equal(entity(c, "captured").Description.text, "anew")
    org(c).delete_catalog_item(CATALOG, "captured")


def disk(c):
    made = c.vdc().create_disk("disk-py", 3 * MIB, bus_type="6", bus_sub_type="lsilogicsas", description="by pyvcloud")
    c.done(made.Tasks.Task[0])
    equal([found["name"] for found in c.vdc().list_idisk()], ["disk-py"])
    c.done(c.vdc().update_disk(name="disk-py", new_name="disk-py-2", new_size=5 * MIB, new_storage_profile_name="silver"))
    changed = c.vdc().get_disk(name="disk-py-2")
    equal((changed.get("sizeMb"), changed.StorageProfile.get("name")), ("5", "silver"))
    c.done(c.vapp("intranet").attach_disk_to_vm(changed.get("href"), "wiki"))
    attached = c.vdc().get_disk(name="disk-py-2")
    equal([vm.get("name") for vm in attached.attached_vms.VmReference], ["wiki"])
    refused(lambda: c.vdc().delete_disk(name="disk-py-2"), BadRequestException, "is attached")
    c.done(c.vapp("intranet").detach_disk_from_vm(changed.get("href"), "wiki"))
    c.done(c.vdc().delete_disk(name="disk-py-2"))
    equal(c.vdc().list_idisk(), [])


def copy_vm(c):
    source = VApp(c.client, resource=c.vdc("acme-test").get_vapp("sandbox"))
    target = c.vapp("intranet")
    c.done(target.add_vms([{"vapp": source.get_resource(), "source_vm_name": "sandbox-1", "target_vm_name": "copied"}],
                          deploy=False, power_on=False))
    equal(sorted(vm.get("name") for vm in c.vapp("intranet").get_all_vms()), ["copied", "wiki"])
    c.done(c.vapp("intranet").delete_vms(["copied"]))
    equal([vm.get("name") for vm in c.vapp("intranet").get_all_vms()], ["wiki"])
