import * as Schema from "effect/Schema"
import * as Decider from "../../src/decider/Decider.ts"
import * as EventCatalog from "../../src/decider/EventCatalog.ts"
import * as View from "../../src/decider/View.ts"

export const CourseEvents = EventCatalog.make({
  CourseDefined: EventCatalog.event(Schema.Struct({ courseId: Schema.String, capacity: Schema.Int }), {
    tags: (payload) => [`course:${payload.courseId}`]
  })
})

export const SubscriptionEvents = EventCatalog.make({
  StudentSubscribed: EventCatalog.event(Schema.Struct({ courseId: Schema.String, studentId: Schema.String }), {
    tags: (payload) => [`course:${payload.courseId}`, `student:${payload.studentId}`]
  })
})

export const courseExists = View.make({
  name: "courseExists",
  events: CourseEvents,
  query: (courseId: string) => CourseEvents.query("CourseDefined", { courseId }),
  initial: false as boolean,
  evolve: { CourseDefined: () => true }
})

const SeatEvents = EventCatalog.merge(CourseEvents, SubscriptionEvents)

export const freeSeats = View.make({
  name: "freeSeats",
  events: SeatEvents,
  query: (courseId: string) => SeatEvents.queryAll({ courseId }),
  initial: 0,
  evolve: {
    CourseDefined: (seats, payload) => seats + payload.capacity,
    StudentSubscribed: (seats) => seats - 1
  }
})

export const subscriptionsOf = View.make({
  name: "subscriptionsOf",
  events: SubscriptionEvents,
  query: (studentId: string) => SubscriptionEvents.queryAll(undefined, { tags: [`student:${studentId}`] }),
  initial: [] as ReadonlyArray<string>,
  evolve: { StudentSubscribed: (courses, payload) => [...courses, payload.courseId] }
})

export interface Subscribe {
  readonly courseId: string
  readonly studentId: string
}

export class UnknownCourse extends Schema.TaggedError<UnknownCourse>()("UnknownCourse", {}) {}
export class CourseFull extends Schema.TaggedError<CourseFull>()("CourseFull", {}) {}
export class TooManyCourses extends Schema.TaggedError<TooManyCourses>()("TooManyCourses", {}) {}

export const subscribe = Decider.make({
  name: "Subscribe",
  events: SubscriptionEvents,
  view: ({ courseId, studentId }: Subscribe) =>
    View.struct({
      course: courseExists(courseId),
      seats: freeSeats(courseId),
      student: subscriptionsOf(studentId)
    }),
  decide: (command, { course, seats, student }) => {
    if (!course) return Decider.reject(new UnknownCourse())
    if (student.includes(command.courseId)) return Decider.nothing
    if (seats === 0) return Decider.reject(new CourseFull())
    if (student.length === 2) return Decider.reject(new TooManyCourses())
    return Decider.accept(SubscriptionEvents.StudentSubscribed(command))
  }
})

export const defined = (courseId: string, capacity: number) => CourseEvents.CourseDefined({ courseId, capacity })
export const subscribed = (courseId: string, studentId: string) =>
  SubscriptionEvents.StudentSubscribed({ courseId, studentId })
export { SeatEvents }
