import { type INestApplication, Injectable } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { PUBLIC_ROUTE } from '../access/index.js';
import { PROBLEM_TYPE, problemSchema } from './problem.js';

const SECURITY = 'apiKey';
const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'] as const;

/** The API's description; built at the first question, when every route is known. */
@Injectable()
export class OpenApiDocument {
  private application: INestApplication | undefined;
  private document: OpenAPIObject | undefined;

  describe(application: INestApplication): void {
    this.application = application;
  }

  read(): OpenAPIObject {
    if (this.application === undefined) throw new Error('configureHttp was not called for this application');
    this.document ??= buildDocument(this.application);
    return this.document;
  }

  /** @returns the methods the routes at this path take, none where there is no route. */
  methodsAt(path: string): string[] {
    const item = Object.entries(this.read().paths).find(([address]) => matches(address, path))?.[1];
    if (item === undefined) return [];
    const methods = METHODS.filter((method) => item[method] !== undefined).map((method) => method.toUpperCase());
    return methods.includes('GET') ? ['HEAD', ...methods] : methods;
  }
}

function matches(address: string, path: string): boolean {
  const wanted = address.split('/');
  const given = path.replace(/\/$/, '').split('/');
  return wanted.length === given.length && wanted.every((part, at) => (part.startsWith('{') ? given[at] !== '' : part === given[at]));
}

function buildDocument(application: INestApplication): OpenAPIObject {
  const settings = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('vApp Vault')
    .setDescription('Backup and restore of VMware Cloud Director vApps.')
    .setVersion('1.0.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API key, vv_…' }, SECURITY)
    .addSecurityRequirements(SECURITY)
    .build();
  const document = SwaggerModule.createDocument(application, settings, { standardSchemaConverter: convertSchema });
  const problem = convertSchema(problemSchema, { schemaType: 'output' });
  const schemas = { ...document.components?.schemas, ...problem?.components };
  document.components = { ...document.components, schemas } as OpenAPIObject['components'];
  for (const [address, path] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = path[method] as Operation | undefined;
      if (operation !== undefined) complete(operation, address);
    }
  }
  return document;
}

interface Operation {
  security?: Record<string, string[]>[];
  parameters?: unknown[];
  requestBody?: unknown;
  responses: Record<string, unknown>;
  [PUBLIC_ROUTE]?: boolean;
}

/** What holds for every route is said here, once: its key, and the form of its errors. */
function complete(operation: Operation, address: string): void {
  const { responses } = operation;
  if (operation[PUBLIC_ROUTE]) operation.security = [];
  else {
    responses['401'] = problemResponse('There is no API key, or it is not valid');
    responses['403'] = problemResponse('The role of the API key does not allow it');
  }
  if (operation.requestBody !== undefined) {
    responses['400'] = problemResponse('The body is not JSON');
    responses['413'] = problemResponse('The body is larger than 1 MiB');
    responses['415'] = problemResponse('The body is of another type than application/json');
  }
  const inPath = address.includes('{');
  if (inPath) responses['404'] = problemResponse('There is nothing with this id');
  if (inPath || operation.requestBody !== undefined || (operation.parameters ?? []).length > 0) {
    responses['422'] = problemResponse('The request has not the form the route asks for, or cannot be done as it is');
  }
  delete operation[PUBLIC_ROUTE];
  responses.default = problemResponse('The request failed; `code` and `detail` say why');
}

function problemResponse(description: string) {
  return { description, content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } } };
}

type JsonObject = Record<string, unknown>;

/**
 * OpenAPI 3.1 is JSON Schema 2020-12; the converter built into @nestjs/swagger writes the 3.0 form
 * (`exclusiveMinimum: true`), which 3.1 forbids.
 */
function convertSchema(schema: unknown, options: { schemaType: 'input' | 'output' }) {
  if (!(schema instanceof z.ZodType)) return undefined;
  const json = z.toJSONSchema(schema, { target: 'draft-2020-12', io: options.schemaType, unrepresentable: 'any' });
  const { $defs = {}, ...root } = json;
  const components: Record<string, JsonObject> = {};
  for (const [name, definition] of Object.entries($defs)) components[name] = withoutKeywords(definition as JsonObject);
  // zod 4.6 answers a schema that has an id as a reference into its own $defs.
  const name = /^#\/\$defs\/(.+)$/.exec(root.$ref ?? '')?.[1];
  if (name !== undefined) return { schema: { $ref: `#/components/schemas/${name}` }, components };
  if (typeof root.id !== 'string') return { schema: withoutKeywords(root), components };
  components[root.id] = withoutKeywords(root);
  return { schema: { $ref: `#/components/schemas/${root.id}` }, components };
}

/** `$schema` is the document's matter, and `id` is zod's name of a component, no keyword of 2020-12. */
function withoutKeywords(schema: object): JsonObject {
  const { $schema: _, id: __, ...rest } = schema as JsonObject;
  return rest;
}
