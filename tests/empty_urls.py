"""A project without the admin's addresses."""

urlpatterns = []
