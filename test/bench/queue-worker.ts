import 'reflect-metadata';
import { Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { JobsModule, type RunContext, RunService } from '../../src/jobs/index.js';

/** `node queue-worker.js WORK_MS`, with the database's address in DATABASE_URL: one lane that notes each run it carries out. */
const { DATABASE_URL: databaseUrl = '' } = process.env;
const workMs = Number(process.argv[2]);

@Module({})
class Rooms {
  constructor(@Inject(RunService) runs: RunService, @Inject(DataSource) database: DataSource) {
    runs.registerHandler('backup', async (_payload: unknown, { runId }: RunContext) => {
      await database.query('INSERT INTO bench_executions (run_id, worker) VALUES ($1, $2)', [runId, process.pid]);
      await sleep(workMs);
      return {};
    });
  }
}

@Module({
  imports: [
    DatabaseModule.forRoot({ url: databaseUrl, poolSize: 4 }),
    JobsModule.forRootAsync({
      useFactory: () => ({ worker: true, databaseUrl, logger: silentLogger, settings: { concurrency: 1, queuePollMs: 200 } }),
    }),
    Rooms,
  ],
})
class Worker {}

const application = await NestFactory.createApplicationContext(Worker, { logger: false });
process.stdout.write('ready\n');
process.once('SIGTERM', () => void application.close().then(() => process.exit(0)));
