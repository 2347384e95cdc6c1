/** The facts of course subscriptions. What happened to courses and what happened to students are two catalogs. */
import { EventCatalog } from "evolvent"
import * as Schema from "effect/Schema"

const courseTags = ({ courseId }: { readonly courseId: string }) => [`course:${courseId}`]
const bothTags = ({ courseId, studentId }: { readonly courseId: string; readonly studentId: string }) => [
  `course:${courseId}`,
  `student:${studentId}`
]

const Seat = Schema.Struct({ courseId: Schema.NonEmptyString, studentId: Schema.NonEmptyString })

export const CourseEvents = EventCatalog.make({
  // Version 1 had no limit to the seats: as good as a thousand.
  CourseDefined: EventCatalog.event(Schema.Struct({ courseId: Schema.NonEmptyString, capacity: Schema.Int }), {
    version: 2,
    upcasts: { 1: (old) => ({ ...(old as { readonly courseId: string }), capacity: 1000 }) },
    tags: courseTags
  }),
  CapacityChanged: EventCatalog.event(Schema.Struct({ courseId: Schema.NonEmptyString, capacity: Schema.Int }), {
    tags: courseTags
  })
})

export const SubscriptionEvents = EventCatalog.make({
  StudentSubscribed: EventCatalog.event(Seat, { tags: bothTags }),
  StudentUnsubscribed: EventCatalog.event(Seat, { tags: bothTags })
})

export const AllEvents = EventCatalog.merge(CourseEvents, SubscriptionEvents)
