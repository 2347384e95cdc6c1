import { runThrough } from "./runThrough.ts"

runThrough("sqlite")
