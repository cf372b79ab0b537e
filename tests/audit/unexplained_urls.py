"""An API view that says nothing about what it gives."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Silent(APIView):
    def get(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("api/v1/silent/", Silent.as_view())]
