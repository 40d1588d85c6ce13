"""Holds recorded vCloud bodies against VMware's schemas. Needs lxml.

usage: validate.py SCHEMA_FOLDER RECORD_FOLDER
    SCHEMA_FOLDER  the "etc" folder of VMware's schema files (1.5/schemas, schemas/external)
    RECORD_FOLDER  index.jsonl and the bodies, as VAPP_VAULT_RECORD_DIR makes them

One line of JSON for each body that is not valid: {"file", "kind", "fromService", "method", "path", "status", "errors"};
the last line is {"valid": {"request": n, "response": n}, "invalid": n}. Exit status 1 where one is not valid.
"""

import json
import pathlib
import sys

from lxml import etree

SCHEMA = pathlib.Path(sys.argv[1]).resolve()
RECORD = pathlib.Path(sys.argv[2])
MOST_ERRORS = 3
EXTERNAL = SCHEMA / "schemas" / "external"
# What the schemas import by the addresses of other bodies lies beside them.
COPIES = {
    "http://www.w3.org/2001/xml.xsd": EXTERNAL / "xml.xsd",
    "http://schemas.dmtf.org/ovf/envelope/1/dsp8023_1.1.0.xsd": EXTERNAL / "ovf1.1/dsp8023_1.1.0.xsd",
    "http://schemas.dmtf.org/wbem/wscim/1/common.xsd": EXTERNAL / "ovf1.1/common.xsd",
    "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2.22.0/CIM_VirtualSystemSettingData.xsd": EXTERNAL
    / "ovf1.1/CIM_VirtualSystemSettingData.xsd",
    "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2.22.0/CIM_ResourceAllocationSettingData.xsd": EXTERNAL
    / "ovf1.1/CIM_ResourceAllocationSettingData.xsd",
    "http://schemas.dmtf.org/ovf/environment/1/dsp8027_1.1.0.xsd": EXTERNAL / "ovf1.1/dsp8027_1.1.0.xsd",
    "http://www.vmware.com/schema/ovf.xsd": EXTERNAL / "ovf1.1/ovf-vmware.xsd",
}
NAMESPACES = {
    "http://www.vmware.com/vcloud/v1.5": "1.5/schemas/master/master.xsd",
    "http://www.vmware.com/vcloud/extension/v1.5": "1.5/schemas/extension/vmwextensions.xsd",
    "http://www.vmware.com/vcloud/versions": "schemas/versioning/versions.xsd",
}


class Copies(etree.Resolver):
    def resolve(self, url, public_id, context):
        if url in COPIES:
            return self.resolve_filename(str(COPIES[url]), context)
        if url.startswith("http"):
            raise OSError(f"the schemas import {url}, of which there is no copy")
        return None


def load_schema():
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Copies())
    imports = "".join(
        f'<xs:import namespace="{name}" schemaLocation="{(SCHEMA / file).as_uri()}"/>' for name, file in NAMESPACES.items()
    )
    root = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(root, parser, base_url=(SCHEMA / "all.xsd").as_uri()))


def errors_of(schema, file):
    try:
        document = etree.parse(str(file), etree.XMLParser(no_network=True, resolve_entities=False))
    except etree.XMLSyntaxError as error:
        return [str(error)]
    if schema.validate(document):
        return []
    return [f"line {error.line}: {error.message}"[:400] for error in schema.error_log][:MOST_ERRORS]


def main():
    schema = load_schema()
    valid = {"request": 0, "response": 0}
    seen, invalid = set(), 0
    for line in (RECORD / "index.jsonl").read_text(encoding="utf-8").splitlines():
        body = json.loads(line)
        # Two processes of a run may have met the same body at once.
        if body["file"] in seen:
            continue
        seen.add(body["file"])
        errors = errors_of(schema, RECORD / body["file"])
        if errors:
            invalid += 1
            print(json.dumps({**body, "errors": errors}))
        else:
            valid[body["kind"]] += 1
    print(json.dumps({"valid": valid, "invalid": invalid}))
    return 1 if invalid else 0


sys.exit(main())
